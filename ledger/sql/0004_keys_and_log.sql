-- A signing key moves forward through its states and never back; what it is never changes.
CREATE FUNCTION ledger_signing_key_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.kid, NEW.public_jwk, NEW.private_key_encrypted) IS DISTINCT FROM
       (OLD.kid, OLD.public_jwk, OLD.private_key_encrypted)
       OR (OLD.state, NEW.state) NOT IN (('next', 'current'), ('next', 'revoked'), ('current', 'retired'),
                                         ('retired', 'revoked')) THEN
        RAISE EXCEPTION 'signing key % is % and cannot become %', OLD.kid, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'signing_key_moves_forward';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_signing_key_guard BEFORE UPDATE ON ledger_signingkey
    FOR EACH ROW EXECUTE FUNCTION ledger_signing_key_guard();
ALTER TABLE ledger_signingkey ENABLE ALWAYS TRIGGER ledger_signing_key_guard;
CREATE TRIGGER ledger_signing_key_stays BEFORE DELETE OR TRUNCATE ON ledger_signingkey
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE ledger_signingkey ENABLE ALWAYS TRIGGER ledger_signing_key_stays;
REVOKE UPDATE, DELETE, TRUNCATE ON ledger_signingkey FROM tokenbourse_app;
GRANT UPDATE (state, valid_from, valid_until) ON ledger_signingkey TO tokenbourse_app;

-- Nodes of the log's tree are the hashes of their children, so that nobody takes the place of one that is to come.
CREATE FUNCTION ledger_nodes_fit() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp
    SET plan_cache_mode = force_custom_plan SET enable_seqscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off AS $$
DECLARE
    bad record;
BEGIN
    SELECT node.level, node.position INTO bad
      FROM fresh AS node
     WHERE node.hash IS DISTINCT FROM CASE WHEN node.level = 1
           THEN sha256('\x01' || (SELECT hash FROM ledger_batch WHERE no = 2 * node.position + 1)
                              || (SELECT hash FROM ledger_batch WHERE no = 2 * node.position + 2))
           ELSE sha256('\x01' || (SELECT child.hash FROM ledger_lognode AS child
                                   WHERE child.level = node.level - 1 AND child.position = 2 * node.position)
                              || (SELECT child.hash FROM ledger_lognode AS child
                                   WHERE child.level = node.level - 1 AND child.position = 2 * node.position + 1))
           END
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'node %/% of the log is not the hash of its children', bad.level, bad.position
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'log_node_fits';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_nodes_fit AFTER INSERT ON ledger_lognode
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ledger_nodes_fit();
ALTER TABLE ledger_lognode ENABLE ALWAYS TRIGGER ledger_nodes_fit;

-- A seal names the posting that put it into the journal, and a checkpoint a size that the log has.
CREATE FUNCTION ledger_seal_is_posted() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM ledger_transaction
      WHERE id = NEW.transaction_id AND source = 'seal' AND kind = 'period_seal' AND effective_at = NEW.ends_at
        AND reference = NEW.period || '/' || encode(NEW.root, 'hex') AND id > NEW.through_transaction;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the seal of % is not what transaction % posted', NEW.period, NEW.transaction_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'seal_is_posted';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_seal_is_posted BEFORE INSERT ON ledger_periodseal
    FOR EACH ROW EXECUTE FUNCTION ledger_seal_is_posted();
ALTER TABLE ledger_periodseal ENABLE ALWAYS TRIGGER ledger_seal_is_posted;

CREATE FUNCTION ledger_checkpoint_fits() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NEW.size < 1 OR octet_length(NEW.root) <> 32
       OR NEW.size > (SELECT last_batch FROM ledger_ledgerhead WHERE id = 1) THEN
        RAISE EXCEPTION 'the log has no checkpoint of size %', NEW.size
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'checkpoint_fits';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_checkpoint_fits BEFORE INSERT ON ledger_checkpoint
    FOR EACH ROW EXECUTE FUNCTION ledger_checkpoint_fits();
ALTER TABLE ledger_checkpoint ENABLE ALWAYS TRIGGER ledger_checkpoint_fits;
