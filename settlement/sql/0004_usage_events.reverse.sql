-- What only the new tables can hold would be lost: signatures, corrections, watermarks, the order of calls.
DO $$
BEGIN
    IF EXISTS (SELECT FROM settlement_usagededup) THEN
        RAISE EXCEPTION 'usage has been received: the tables cannot go back';
    END IF;
END $$;
DROP TRIGGER guard ON settlement_discrepancycase;
DROP FUNCTION settlement_guard_case();
DROP TRIGGER guard_new ON settlement_discrepancycase;
DROP FUNCTION settlement_guard_new_case();
DROP TRIGGER guard ON settlement_meterkey;
DROP FUNCTION settlement_guard_meter_key();
GRANT UPDATE, DELETE ON settlement_meter TO tokenbourse_app;
DROP FUNCTION settlement_ensure_usage_partition(date);
DROP TABLE settlement_usageevent;
DROP TABLE settlement_usagededup;
DROP SEQUENCE settlement_usagebatch_id_seq;
CREATE TABLE settlement_usagededup (
    meter_id bigint NOT NULL,
    event_id varchar(120) NOT NULL,
    content_hash bytea NOT NULL,
    usage_event_id bigint NOT NULL,
    PRIMARY KEY (meter_id, event_id)
) PARTITION BY HASH (meter_id, event_id);
CREATE SEQUENCE settlement_usageevent_id_seq;
CREATE TABLE settlement_usageevent (
    window_start timestamptz NOT NULL,
    id bigint NOT NULL DEFAULT nextval('settlement_usageevent_id_seq'),
    accepted_at timestamptz NOT NULL,
    meter_id bigint NOT NULL,
    event_id varchar(120) NOT NULL,
    kind varchar(12) NOT NULL CHECK (kind IN ('completed', 'refused')),
    contract_id bigint NOT NULL,
    buyer_id bigint NOT NULL,
    provider_id bigint NOT NULL,
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
    CHECK ((status = 'quarantined') = (quarantine_reason <> '')),
    CHECK ((kind = 'refused') = (refusal_reason <> '')),
    PRIMARY KEY (window_start, id)
) PARTITION BY RANGE (window_start);
CREATE INDEX settlement_usageevent_of_contract ON settlement_usageevent (contract_id, buyer_id, provider_id);
DO $$
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE settlement_usagededup_%s PARTITION OF settlement_usagededup '
                       'FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
        EXECUTE format('REVOKE ALL ON settlement_usagededup_%s FROM tokenbourse_app', part);
        PERFORM make_append_only(format('settlement_usagededup_%s', part)::regclass);
    END LOOP;
END $$;
CREATE FUNCTION settlement_ensure_usage_partition(month date) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    first date := date_trunc('month', month)::date;
    name text := 'settlement_usageevent_' || to_char(first, 'YYYYMM');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('settlement_ensure_usage_partition'));
    IF NOT EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = 'public'::regnamespace) THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF settlement_usageevent FOR VALUES FROM (%L) TO (%L)', name,
                       first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
        EXECUTE format('REVOKE ALL ON %I FROM tokenbourse_app', name);
        PERFORM make_append_only(name::regclass);
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION settlement_ensure_usage_partition(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settlement_ensure_usage_partition(date) TO tokenbourse_app;
SELECT make_append_only('settlement_usagededup');
SELECT make_append_only('settlement_usageevent');
