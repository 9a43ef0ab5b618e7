-- What takes two operators is done on their decision alone. A command names the approved decision, which names it in
-- turn: it stands in the line as it was decided, once, and for a default once a shard. Looked at when the transaction
-- commits, since a decision is written behind its commands; other commands never come here.
CREATE FUNCTION exchange_command_is_decided() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM exchange_operatordecision AS decision
         WHERE decision.state = 'approved' AND decision.kind = NEW.kind AND decision.decided_by = NEW.actor
           AND CASE decision.kind WHEN 'default_provider' THEN decision.seqs @> to_jsonb(NEW.seq)
                                  ELSE decision.seqs = jsonb_build_array(NEW.seq) END
           AND jsonb_build_object('contract_id', NULL, 'provider_id', NULL) || decision.payload
               || jsonb_build_object('reason', decision.reason, 'decision_id', decision.id)
             = NEW.payload || jsonb_build_object('contract_id', NEW.contract_id, 'provider_id', NEW.party_id)
    ) THEN
        RAISE EXCEPTION 'command % (%) is not what two operators decided', NEW.seq, NEW.kind
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'command_is_decided';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER exchange_command_is_decided AFTER INSERT ON exchange_intake DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.kind IN ('cancel_contract', 'default_provider', 'bust_fill'))
    EXECUTE FUNCTION exchange_command_is_decided();
ALTER TABLE exchange_intake ENABLE ALWAYS TRIGGER exchange_command_is_decided;

CREATE FUNCTION exchange_default_is_decided() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM exchange_operatordecision AS decision
         WHERE decision.id = NEW.decision_id AND decision.kind = 'default_provider' AND decision.state = 'approved'
           AND decision.payload = jsonb_build_object('provider_id', NEW.provider_id)
           AND decision.decided_at = NEW.defaulted_at
    ) THEN
        RAISE EXCEPTION 'the default of party % is not what two operators decided', NEW.provider_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'default_is_decided';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER exchange_default_is_decided AFTER INSERT ON exchange_providerdefault
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION exchange_default_is_decided();
ALTER TABLE exchange_providerdefault ENABLE ALWAYS TRIGGER exchange_default_is_decided;

-- A contract is cancelled once, and stays so.
CREATE FUNCTION exchange_cancellation_is_decided() RETURNS trigger LANGUAGE plpgsql
    SET search_path = public, pg_temp AS $$
BEGIN
    IF OLD.cancelled_at IS NOT NULL OR NOT EXISTS (
        SELECT FROM exchange_operatordecision AS decision
         WHERE decision.kind = 'cancel_contract' AND decision.state = 'approved'
           AND decision.payload = jsonb_build_object('contract_id', NEW.id)
    ) THEN
        RAISE EXCEPTION 'the cancellation of contract % is not what two operators decided', NEW.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'cancellation_is_decided';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER exchange_cancellation_is_decided BEFORE UPDATE ON exchange_contract FOR EACH ROW
    WHEN (NEW.cancelled_at IS DISTINCT FROM OLD.cancelled_at OR NEW.state <> OLD.state AND
          (NEW.state = 'cancelled' OR OLD.state = 'cancelled' AND NEW.state <> 'settled'))
    EXECUTE FUNCTION exchange_cancellation_is_decided();
ALTER TABLE exchange_contract ENABLE ALWAYS TRIGGER exchange_cancellation_is_decided;

-- A fill is taken back by a command that says so.
CREATE FUNCTION exchange_reversal_is_commanded() RETURNS trigger LANGUAGE plpgsql
    SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM exchange_intake AS line
         WHERE line.seq = NEW.command_seq AND line.contract_id = NEW.contract_id
           AND (line.kind = 'cancel_contract'
                OR line.kind = 'bust_fill' AND line.payload -> 'fill_id' = to_jsonb(NEW.fill_id))
    ) THEN
        RAISE EXCEPTION 'command % does not take fill % back', NEW.command_seq, NEW.fill_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'reversal_is_commanded';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER exchange_reversal_is_commanded BEFORE INSERT ON exchange_fillreversal
    FOR EACH ROW EXECUTE FUNCTION exchange_reversal_is_commanded();
ALTER TABLE exchange_fillreversal ENABLE ALWAYS TRIGGER exchange_reversal_is_commanded;

-- Epochs, cursors, counters and clock readings only rise: set back, commands would be decided and numbers given twice.
CREATE FUNCTION exchange_counters_rise() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the counters of % only rise', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'counters_rise';
END $$;
CREATE TRIGGER exchange_counters_rise BEFORE UPDATE ON exchange_sequencerstate FOR EACH ROW
    WHEN (NEW.shard <> OLD.shard OR NEW.epoch < OLD.epoch OR NEW.cursor < OLD.cursor
          OR NEW.last_ran_at < OLD.last_ran_at OR NEW.last_ran_at IS NULL AND OLD.last_ran_at IS NOT NULL)
    EXECUTE FUNCTION exchange_counters_rise();
ALTER TABLE exchange_sequencerstate ENABLE ALWAYS TRIGGER exchange_counters_rise;
CREATE TRIGGER exchange_counters_rise BEFORE UPDATE ON exchange_exchangehead FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.last_batch < OLD.last_batch OR NEW.last_fill < OLD.last_fill
          OR NEW.last_ran_at < OLD.last_ran_at OR NEW.last_ran_at IS NULL AND OLD.last_ran_at IS NOT NULL)
    EXECUTE FUNCTION exchange_counters_rise();
ALTER TABLE exchange_exchangehead ENABLE ALWAYS TRIGGER exchange_counters_rise;
CREATE TRIGGER exchange_counters_stay BEFORE DELETE OR TRUNCATE ON exchange_sequencerstate
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE exchange_sequencerstate ENABLE ALWAYS TRIGGER exchange_counters_stay;
CREATE TRIGGER exchange_counters_stay BEFORE DELETE OR TRUNCATE ON exchange_exchangehead
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE exchange_exchangehead ENABLE ALWAYS TRIGGER exchange_counters_stay;

-- A qualification is granted, and revoked once; what buyers and replay read of it stays.
CREATE FUNCTION exchange_qualification_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'qualification % can only be revoked, and once', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'qualification_revoked_once';
END $$;
CREATE TRIGGER exchange_qualification_guard BEFORE UPDATE ON exchange_qualification FOR EACH ROW
    WHEN (OLD.revoked_at IS NOT NULL OR NEW.revoked_at IS NULL)
    EXECUTE FUNCTION exchange_qualification_guard();
ALTER TABLE exchange_qualification ENABLE ALWAYS TRIGGER exchange_qualification_guard;
CREATE TRIGGER exchange_qualification_stays BEFORE DELETE OR TRUNCATE ON exchange_qualification
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE exchange_qualification ENABLE ALWAYS TRIGGER exchange_qualification_stays;
REVOKE UPDATE, DELETE, TRUNCATE ON exchange_qualification FROM tokenbourse_app;
GRANT UPDATE (revoked_at) ON exchange_qualification TO tokenbourse_app;
