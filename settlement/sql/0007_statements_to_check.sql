-- Runs of before: each job was a contract, and now is a shard of that one contract. Foreign keys are checked at once,
-- because a table with checks still to come cannot be altered.
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO settlement_runcontract (run_id, contract_id, shard, place)
SELECT run_id, subject_id, subject_id, row_number() OVER (PARTITION BY run_id ORDER BY id)
  FROM settlement_settlementjob WHERE step = 'settle';
SET CONSTRAINTS ALL DEFERRED;

-- How fast a request was served. Days that are put aside get the columns too, so that they can come back.
DO $$
DECLARE
    events regclass;
BEGIN
    FOR events IN
        SELECT oid FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
           AND relname ~ '^settlement_usageevent(_[0-9]{8})?$'
           AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid)
    LOOP
        EXECUTE format('ALTER TABLE %s ADD COLUMN ttft_ms integer, ADD COLUMN output_ms integer, '
                       'ADD CONSTRAINT usage_event_speed CHECK ((ttft_ms IS NULL AND output_ms IS NULL) '
                       'OR (kind = ''completed'' AND coalesce(ttft_ms, 0) >= 0 AND coalesce(output_ms, 0) >= 0))',
                       events);
    END LOOP;
END $$;

-- A row of a position fits a page as it is, and compressing its documents takes longer than all else of writing it.
ALTER TABLE settlement_positionsettlement SET (toast_tuple_target = 4080);
ALTER TABLE settlement_frozeninput ALTER COLUMN content SET STORAGE EXTERNAL;

SELECT make_append_only('settlement_runcontract');
SELECT make_append_only('settlement_frozeninput');
SELECT make_append_only('settlement_settlementline');
SELECT make_append_only('settlement_statedcore');
SELECT make_append_only('settlement_statementpart');
SELECT make_append_only('settlement_statementtimetoken');
SELECT make_append_only('settlement_statementopinion');
SELECT make_append_only('settlement_settlementcalendar');
SELECT make_append_only('settlement_makeupcredit');
SELECT make_append_only('settlement_makeupuse');
SELECT make_append_only('settlement_disputeentry');
SELECT make_append_only('settlement_disputeevidence');
SELECT make_append_only('settlement_partynotice');
SELECT make_append_only('settlement_nettingset');
SELECT make_append_only('settlement_nettedrun');
SELECT make_append_only('settlement_nettedparty');
SELECT make_append_only('settlement_paymentfile');
SELECT make_append_only('settlement_confirmationimport');
SELECT make_append_only('settlement_invoicerow');

-- A run moves forward and never back; what it covers and reads never changes.
CREATE FUNCTION settlement_run_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    steps CONSTANT text[] := ARRAY['open', 'stating', 'signing', 'published'];
BEGIN
    IF (NEW.id, NEW.currency_id, NEW.product_id, NEW.period_start, NEW.period_end, NEW.kind, NEW.sequence,
        NEW.usage_through, NEW.dispute_id, NEW.rules_version, NEW.code_version, NEW.value_date, NEW.dispute_until,
        NEW.created_at) IS DISTINCT FROM
       (OLD.id, OLD.currency_id, OLD.product_id, OLD.period_start, OLD.period_end, OLD.kind, OLD.sequence,
        OLD.usage_through, OLD.dispute_id, OLD.rules_version, OLD.code_version, OLD.value_date, OLD.dispute_until,
        OLD.created_at)
       OR array_position(steps, NEW.state::text) < array_position(steps, OLD.state::text)
       OR array_position(steps, NEW.state::text) IS NULL
       OR (OLD.input_digest IS NOT NULL AND NEW.input_digest IS DISTINCT FROM OLD.input_digest)
       OR (OLD.published_at IS NOT NULL AND NEW.published_at IS DISTINCT FROM OLD.published_at) THEN
        RAISE EXCEPTION 'run % is %: it moves forward, and what it covers stays', OLD.id, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'run_moves_forward';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settlement_run_guard BEFORE UPDATE ON settlement_settlementrun
    FOR EACH ROW EXECUTE FUNCTION settlement_run_guard();
ALTER TABLE settlement_settlementrun ENABLE ALWAYS TRIGGER settlement_run_guard;

-- A dispute: what was disputed stays; its states follow each other.
CREATE FUNCTION settlement_dispute_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.statement_id, NEW.line_number, NEW.line_kind, NEW.party_id, NEW.payee_id, NEW.contract_id,
        NEW.buyer_id, NEW.provider_id, NEW.reason, NEW.text, NEW.disputed_micros, NEW.opened_at, NEW.opened_by,
        NEW.decide_by) IS DISTINCT FROM
       (OLD.id, OLD.statement_id, OLD.line_number, OLD.line_kind, OLD.party_id, OLD.payee_id, OLD.contract_id,
        OLD.buyer_id, OLD.provider_id, OLD.reason, OLD.text, OLD.disputed_micros, OLD.opened_at, OLD.opened_by,
        OLD.decide_by)
       OR (OLD.state, NEW.state) NOT IN (
           ('open', 'open'), ('open', 'proposed'), ('open', 'withdrawn'), ('proposed', 'open'), ('proposed', 'upheld'),
           ('proposed', 'rejected'), ('proposed', 'withdrawn'), ('upheld', 'settled'), ('rejected', 'settled'),
           ('withdrawn', 'settled')) THEN
        RAISE EXCEPTION 'dispute % is % and cannot become %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'dispute_moves_forward';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settlement_dispute_guard BEFORE UPDATE ON settlement_dispute
    FOR EACH ROW EXECUTE FUNCTION settlement_dispute_guard();
ALTER TABLE settlement_dispute ENABLE ALWAYS TRIGGER settlement_dispute_guard;

-- A payment: to whom and how much stays; created, exported, confirmed or returned.
CREATE FUNCTION settlement_instruction_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.netting_id, NEW.party_id, NEW.payout_account_id, NEW.micros, NEW.end_to_end_id,
        NEW.hold_transaction_id, NEW.created_at) IS DISTINCT FROM
       (OLD.id, OLD.netting_id, OLD.party_id, OLD.payout_account_id, OLD.micros, OLD.end_to_end_id,
        OLD.hold_transaction_id, OLD.created_at)
       OR (OLD.state, NEW.state) NOT IN (('created', 'exported'), ('created', 'returned'), ('exported', 'confirmed'),
                                         ('exported', 'returned'), ('confirmed', 'returned')) THEN
        RAISE EXCEPTION 'payment % is % and cannot become %', OLD.end_to_end_id, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'instruction_moves_forward';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settlement_instruction_guard BEFORE UPDATE ON settlement_paymentinstruction
    FOR EACH ROW EXECUTE FUNCTION settlement_instruction_guard();
ALTER TABLE settlement_paymentinstruction ENABLE ALWAYS TRIGGER settlement_instruction_guard;

-- What two people decide is decided once.
CREATE FUNCTION settlement_decided_once() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.state <> 'requested' OR NEW.state NOT IN ('confirmed', 'refused') THEN
        RAISE EXCEPTION '% % is %: it is decided once', TG_TABLE_NAME, OLD.id, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'request_decided_once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settlement_decided_once BEFORE UPDATE ON settlement_payoutaccount
    FOR EACH ROW EXECUTE FUNCTION settlement_decided_once();
ALTER TABLE settlement_payoutaccount ENABLE ALWAYS TRIGGER settlement_decided_once;
CREATE TRIGGER settlement_decided_once BEFORE UPDATE ON settlement_forcemajeure
    FOR EACH ROW EXECUTE FUNCTION settlement_decided_once();
ALTER TABLE settlement_forcemajeure ENABLE ALWAYS TRIGGER settlement_decided_once;

CREATE FUNCTION settlement_auditor_key_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.revoked_at IS NOT NULL THEN
        RAISE EXCEPTION 'auditor key % is revoked for ever', OLD.kid
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'auditor_key_revoked_once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settlement_auditor_key_guard BEFORE UPDATE ON settlement_auditorkey
    FOR EACH ROW EXECUTE FUNCTION settlement_auditor_key_guard();
ALTER TABLE settlement_auditorkey ENABLE ALWAYS TRIGGER settlement_auditor_key_guard;

CREATE TRIGGER rows_stay BEFORE DELETE OR TRUNCATE ON settlement_dispute
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE settlement_dispute ENABLE ALWAYS TRIGGER rows_stay;
CREATE TRIGGER rows_stay BEFORE DELETE OR TRUNCATE ON settlement_paymentinstruction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE settlement_paymentinstruction ENABLE ALWAYS TRIGGER rows_stay;
CREATE TRIGGER rows_stay BEFORE DELETE OR TRUNCATE ON settlement_payoutaccount
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE settlement_payoutaccount ENABLE ALWAYS TRIGGER rows_stay;
CREATE TRIGGER rows_stay BEFORE DELETE OR TRUNCATE ON settlement_forcemajeure
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE settlement_forcemajeure ENABLE ALWAYS TRIGGER rows_stay;
CREATE TRIGGER rows_stay BEFORE DELETE OR TRUNCATE ON settlement_auditorkey
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE settlement_auditorkey ENABLE ALWAYS TRIGGER rows_stay;

REVOKE UPDATE, DELETE, TRUNCATE ON settlement_dispute, settlement_paymentinstruction, settlement_payoutaccount,
    settlement_forcemajeure, settlement_auditorkey FROM tokenbourse_app;
GRANT UPDATE (state, suspended_micros, decided_micros, proposed_by, decided_by, decided_at) ON settlement_dispute
    TO tokenbourse_app;
GRANT UPDATE (state, file_id, paid_transaction_id, returned_transaction_id, bank_reference, return_reason, changed_at,
              changed_by) ON settlement_paymentinstruction TO tokenbourse_app;
GRANT UPDATE (state, decided_by, decided_at) ON settlement_payoutaccount TO tokenbourse_app;
GRANT UPDATE (state, decided_by, decided_at) ON settlement_forcemajeure TO tokenbourse_app;
GRANT UPDATE (revoked_at) ON settlement_auditorkey TO tokenbourse_app;
