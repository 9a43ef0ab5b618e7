-- Usage is partitioned from the start: identities by hash (they outlive the events), events by month of acceptance.
CREATE TABLE settlement_usagededup (
    meter_id bigint NOT NULL,
    event_id varchar(120) NOT NULL,
    content_hash bytea NOT NULL,
    usage_event_id bigint NOT NULL,
    PRIMARY KEY (meter_id, event_id)
) PARTITION BY HASH (meter_id, event_id);
DO $$
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE settlement_usagededup_%s PARTITION OF settlement_usagededup '
                       'FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$;

CREATE SEQUENCE settlement_usageevent_id_seq;
CREATE TABLE settlement_usageevent (
    id bigint NOT NULL DEFAULT nextval('settlement_usageevent_id_seq'),
    accepted_at timestamptz NOT NULL,
    meter_id bigint NOT NULL,
    event_id varchar(120) NOT NULL,
    kind varchar(12) NOT NULL CHECK (kind IN ('completed', 'refused')),
    contract_id bigint,
    buyer_id bigint,
    provider_id bigint,
    request_id varchar(120) NOT NULL,
    retry_of varchar(120) NOT NULL DEFAULT '',
    refusal_reason varchar(20) NOT NULL DEFAULT '',
    family varchar(32) NOT NULL,
    raw jsonb NOT NULL,
    content_hash bytea NOT NULL,
    buckets jsonb NOT NULL,
    millitokens bigint NOT NULL CHECK (millitokens >= 0),
    status varchar(12) NOT NULL CHECK (status IN ('accepted', 'quarantined')),
    quarantine_reason varchar(60) NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL,
    PRIMARY KEY (accepted_at, id)
) PARTITION BY RANGE (accepted_at);
CREATE INDEX settlement_usageevent_of_contract ON settlement_usageevent (contract_id, buyer_id, provider_id);
CREATE TABLE settlement_usageevent_default PARTITION OF settlement_usageevent DEFAULT;

-- The application asks for partitions but may not define tables: this function does, and only this.
CREATE FUNCTION settlement_ensure_usage_partition(month date) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'settlement_usageevent_' || to_char(first, 'YYYYMM');
BEGIN
    IF to_regclass(name) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF settlement_usageevent FOR VALUES FROM (%L) TO (%L)', name,
                       first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION settlement_ensure_usage_partition(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settlement_ensure_usage_partition(date) TO tokenbourse_app;

SELECT make_append_only('settlement_usagededup');
SELECT make_append_only('settlement_usageevent');
SELECT make_append_only('settlement_usageconflict');
SELECT make_append_only('settlement_positionsettlement');
SELECT make_append_only('settlement_shareschedule');
SELECT make_append_only('settlement_statement');
REVOKE DELETE ON settlement_settlementrun, settlement_settlementjob FROM tokenbourse_app;
