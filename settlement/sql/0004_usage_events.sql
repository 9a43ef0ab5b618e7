-- Usage as it is kept from here on: identities by hash (they outlive the events), events by the day they were received,
-- so that inserts touch the newest partition alone however much is stored, and old days can be detached whole. A
-- partition is reached through its parent only: the application has no privilege on it, and it has the append-only
-- trigger of its own, since the parent's does not see statements that name the partition.
CREATE TEMP TABLE old_event ON COMMIT DROP AS SELECT * FROM settlement_usageevent;
CREATE TEMP TABLE old_dedup ON COMMIT DROP AS SELECT * FROM settlement_usagededup;
DROP FUNCTION settlement_ensure_usage_partition(date);
DROP TABLE settlement_usageevent;
DROP SEQUENCE settlement_usageevent_id_seq;
DROP TABLE settlement_usagededup;

CREATE SEQUENCE settlement_usagebatch_id_seq;

-- Ids are compared by bytes: a collation would cost more than the rest of the lookup.
CREATE TABLE settlement_usagededup (
    meter_id bigint NOT NULL,
    batch_id bigint NOT NULL,
    place integer NOT NULL,
    event_id varchar(120) COLLATE "C" NOT NULL,
    content_hash bytea NOT NULL,
    PRIMARY KEY (meter_id, event_id)
) PARTITION BY HASH (meter_id, event_id);
DO $$
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format('CREATE TABLE settlement_usagededup_%s PARTITION OF settlement_usagededup '
                       'FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
        EXECUTE format('REVOKE ALL ON settlement_usagededup_%s FROM tokenbourse_app', part);
        PERFORM make_append_only(format('settlement_usagededup_%s', part)::regclass);
    END LOOP;
END $$;

-- Columns of eight bytes first, then shorter ones, then those of any length: no byte is lost to alignment.
CREATE TABLE settlement_usageevent (
    received_at timestamptz NOT NULL,
    batch_id bigint NOT NULL,
    accepted_at timestamptz NOT NULL,
    event_time timestamptz NOT NULL,
    meter_id bigint NOT NULL,
    contract_id bigint NOT NULL,
    buyer_id bigint NOT NULL,
    provider_id bigint NOT NULL,
    input_uncached bigint NOT NULL DEFAULT 0,
    input_cache_read bigint NOT NULL DEFAULT 0,
    input_cache_write_short bigint NOT NULL DEFAULT 0,
    input_cache_write_long bigint NOT NULL DEFAULT 0,
    input_tool bigint NOT NULL DEFAULT 0,
    output_visible bigint NOT NULL DEFAULT 0,
    output_reasoning bigint NOT NULL DEFAULT 0,
    unexplained bigint NOT NULL DEFAULT 0,
    millitokens bigint NOT NULL DEFAULT 0,
    place integer NOT NULL,
    requests integer NOT NULL DEFAULT 1,
    adapter_version smallint NOT NULL DEFAULT 0,
    kind varchar(12) COLLATE "C" NOT NULL,
    event_id varchar(120) COLLATE "C" NOT NULL,
    content_hash bytea NOT NULL,
    request_id varchar(120) COLLATE "C" NOT NULL,
    family varchar(32) COLLATE "C" NOT NULL DEFAULT '',
    raw bytea,
    retry_of varchar(120) COLLATE "C",
    refusal_reason varchar(20) COLLATE "C",
    quarantine_reason varchar(60) COLLATE "C",
    supersedes varchar(120) COLLATE "C",
    why varchar(200),
    records_root bytea,
    CHECK (kind IN ('started', 'completed', 'refused', 'void', 'aggregate')),
    CHECK ((kind = 'refused') = (refusal_reason IS NOT NULL)),
    CHECK (kind <> 'void' OR supersedes IS NOT NULL),
    CHECK ((supersedes IS NULL) = (why IS NULL)),
    CHECK ((kind = 'aggregate') = (records_root IS NOT NULL)),
    CHECK (requests >= 1 AND (requests = 1 OR kind = 'aggregate')),
    CHECK (LEAST(input_uncached, input_cache_read, input_cache_write_short, input_cache_write_long, input_tool,
                 output_visible, output_reasoning, unexplained, millitokens) >= 0),
    CHECK (quarantine_reason <> '' AND (quarantine_reason IS NOT NULL OR unexplained = 0)),
    PRIMARY KEY (received_at, batch_id, place)
) PARTITION BY RANGE (received_at);
CREATE INDEX settlement_usageevent_of_contract ON settlement_usageevent (contract_id, buyer_id, provider_id);
CREATE INDEX settlement_usageevent_aside ON settlement_usageevent (meter_id, batch_id)
    WHERE quarantine_reason IS NOT NULL;

-- The application asks for partitions but may not define tables: this function does, and only this. A table is made
-- apart and then attached, which makes no insert or query wait.
CREATE FUNCTION settlement_ensure_usage_partition(day date) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    name text := 'settlement_usageevent_' || to_char(day, 'YYYYMMDD');
BEGIN
    -- Asked of the table, not of to_regclass: waiting for the lock does not refresh what that remembers.
    PERFORM pg_advisory_xact_lock(hashtext('settlement_ensure_usage_partition'));
    IF NOT EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = 'public'::regnamespace) THEN
        EXECUTE format('CREATE TABLE %I (LIKE settlement_usageevent INCLUDING ALL)', name);
        EXECUTE format('REVOKE ALL ON %I FROM tokenbourse_app', name);
        PERFORM make_append_only(name::regclass);
        EXECUTE format('ALTER TABLE settlement_usageevent ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
                       day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION settlement_ensure_usage_partition(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settlement_ensure_usage_partition(date) TO tokenbourse_app;

-- What was there before: calls were not kept, so all that a party's meters sent at one instant is taken as one, and the
-- bytes of its body are not known.
SELECT settlement_ensure_usage_partition(day)
  FROM (SELECT DISTINCT (received_at AT TIME ZONE 'UTC')::date AS day FROM old_event) AS days;
CREATE TEMP TABLE old_batch ON COMMIT DROP AS
SELECT nextval('settlement_usagebatch_id_seq') AS id, party_id, received_at, accepted, quarantined
  FROM (SELECT meter.party_id, event.received_at,
               count(*) FILTER (WHERE status = 'accepted') AS accepted,
               count(*) FILTER (WHERE status = 'quarantined') AS quarantined
          FROM old_event AS event JOIN settlement_meter AS meter ON meter.id = event.meter_id
         GROUP BY meter.party_id, event.received_at ORDER BY event.received_at, meter.party_id) AS calls;
INSERT INTO settlement_usagebatch (id, party_id, actor, received_at, body_digest, accepted, duplicates, conflicts,
                                   quarantined, rejected)
SELECT id, party_id, 'migration', received_at, '', accepted, 0, 0, quarantined, 0 FROM old_batch;
INSERT INTO settlement_pendingrollup (batch_id, received_at) SELECT id, received_at FROM old_batch WHERE accepted > 0;
INSERT INTO settlement_usageevent (
    received_at, batch_id, accepted_at, event_time, meter_id, contract_id, buyer_id, provider_id, input_uncached,
    input_cache_read, input_cache_write_short, input_cache_write_long, input_tool, output_visible, output_reasoning,
    unexplained, millitokens, place, kind, event_id, content_hash, request_id, family, raw, retry_of, refusal_reason,
    quarantine_reason)
SELECT event.received_at, batch.id, accepted_at, accepted_at, meter_id, contract_id, buyer_id, provider_id,
       (buckets ->> 'input_uncached')::bigint, (buckets ->> 'input_cache_read')::bigint,
       (buckets ->> 'input_cache_write_short')::bigint, (buckets ->> 'input_cache_write_long')::bigint,
       (buckets ->> 'input_tool')::bigint, (buckets ->> 'output_visible')::bigint,
       (buckets ->> 'output_reasoning')::bigint, (buckets ->> 'unexplained')::bigint, millitokens,
       row_number() OVER (PARTITION BY batch.id ORDER BY event.id) - 1, kind, event_id, content_hash, request_id, family,
       convert_to(raw::text, 'UTF8'), nullif(retry_of, ''), nullif(refusal_reason, ''), nullif(quarantine_reason, '')
  FROM old_event AS event
  JOIN settlement_meter AS meter ON meter.id = event.meter_id
  JOIN old_batch AS batch ON batch.party_id = meter.party_id AND batch.received_at = event.received_at;
INSERT INTO settlement_usagededup (meter_id, batch_id, place, event_id, content_hash)
SELECT old.meter_id, event.batch_id, event.place, old.event_id, old.content_hash
  FROM old_dedup AS old JOIN settlement_usageevent AS event USING (meter_id, event_id);

SELECT make_append_only('settlement_usagededup');
SELECT make_append_only('settlement_usageevent');
SELECT make_append_only('settlement_usagebatch');
SELECT make_append_only('settlement_signedbatch');
SELECT make_append_only('settlement_usagesupersession');
SELECT make_append_only('settlement_usagewatermark');
SELECT make_append_only('settlement_pairreconciliation');
SELECT make_append_only('settlement_biasdecision');
SELECT make_append_only('settlement_caseentry');

-- Whose a meter is and for which side it speaks stays as registered; of a key only its revocation is written, once.
REVOKE UPDATE, DELETE, TRUNCATE ON settlement_meter, settlement_meterkey, settlement_discrepancycase FROM tokenbourse_app;
GRANT UPDATE (signature_required) ON settlement_meter TO tokenbourse_app;
GRANT UPDATE (revoked_at, revoked_by) ON settlement_meterkey TO tokenbourse_app;
GRANT UPDATE (state, changed_at, requests, provider_millitokens, buyer_millitokens, settled_millitokens, ruling,
              proposed_by, decided_by) ON settlement_discrepancycase TO tokenbourse_app;

CREATE FUNCTION settlement_guard_meter_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.revoked_at IS NOT NULL OR NEW.meter_id <> OLD.meter_id OR NEW.thumbprint <> OLD.thumbprint
       OR NEW.public_key <> OLD.public_key OR NEW.registered_at <> OLD.registered_at THEN
        RAISE EXCEPTION 'key % of a meter only changes by being revoked, once', OLD.thumbprint
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON settlement_meterkey
    FOR EACH ROW EXECUTE FUNCTION settlement_guard_meter_key();
ALTER TABLE settlement_meterkey ENABLE ALWAYS TRIGGER guard;

-- Open until somebody answers or proposes; a proposal is confirmed as it stands by another, or falls back; what was
-- decided stays decided; what later events resolved may be found again.
CREATE FUNCTION settlement_guard_case() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.contract_id, NEW.buyer_id, NEW.provider_id, NEW.kind, NEW.opened_at)
       IS DISTINCT FROM (OLD.contract_id, OLD.buyer_id, OLD.provider_id, OLD.kind, OLD.opened_at)
       OR NEW.changed_at < OLD.changed_at THEN
        RAISE EXCEPTION 'case % stays what it was opened for', OLD.id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('open', 'answered'), ('open', 'proposed'), ('open', 'resolved'), ('answered', 'proposed'),
        ('answered', 'resolved'), ('proposed', 'answered'), ('proposed', 'decided'), ('proposed', 'resolved'),
        ('resolved', 'open')) THEN
        RAISE EXCEPTION 'case % cannot go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF (NEW.state IN ('proposed', 'decided')) IS DISTINCT FROM (NEW.ruling <> '' AND NEW.proposed_by <> '')
       OR (NEW.state = 'decided') IS DISTINCT FROM (NEW.decided_by <> '')
       OR (OLD.state IN ('proposed', 'decided') AND NEW.state = 'decided'
           AND (NEW.ruling, NEW.proposed_by) IS DISTINCT FROM (OLD.ruling, OLD.proposed_by))
       OR (OLD.state = 'decided' AND NEW.decided_by <> OLD.decided_by) THEN
        RAISE EXCEPTION 'case %: a ruling is proposed by one and confirmed as it stands by another', OLD.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON settlement_discrepancycase
    FOR EACH ROW EXECUTE FUNCTION settlement_guard_case();
ALTER TABLE settlement_discrepancycase ENABLE ALWAYS TRIGGER guard;

-- Else one who writes plain SQL would decide alone, by starting at the end.
CREATE FUNCTION settlement_guard_new_case() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'open' OR NEW.ruling <> '' OR NEW.proposed_by <> '' OR NEW.decided_by <> '' THEN
        RAISE EXCEPTION 'a case begins open, without a ruling' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_new BEFORE INSERT ON settlement_discrepancycase
    FOR EACH ROW EXECUTE FUNCTION settlement_guard_new_case();
ALTER TABLE settlement_discrepancycase ENABLE ALWAYS TRIGGER guard_new;
