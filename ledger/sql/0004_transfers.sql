-- Deposits and withdrawals of the time before a second person approved them: each gets a transfer that says so, so that
-- its payment reference is still known. Before the guards below, which let nobody write a decided transfer; its foreign
-- keys are checked at once, because a table with checks still to come cannot be altered.
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO ledger_transfer (kind, party_id, currency_id, micros, payment_reference, note, state, requested_by,
                             requested_at, decided_by, decided_at, refusal, transaction_id)
SELECT posted.kind, cash.party_id, cash.asset_id, abs(entry.amount),
       substring(posted.reference FROM '^(?:deposit|withdrawal)/[0-9]+/(.*)$'), '', 'posted', posted.actor,
       posted.posted_at, left(posted.actor, 60) || ' (before two-phase)', posted.posted_at, '', posted.id
  FROM ledger_transaction posted
  JOIN ledger_entry entry ON entry.transaction_id = posted.id
  JOIN ledger_account cash ON cash.id = entry.account_id AND cash.role = 'cash'
 WHERE posted.source = 'treasury' AND posted.kind IN ('deposit', 'withdrawal')
   AND posted.reference ~ '^(deposit|withdrawal)/[0-9]+/'
 ORDER BY posted.id;
SET CONSTRAINTS ALL DEFERRED;

-- A transfer begins as a request and is decided once; what was asked for never changes. What is posted names the
-- transaction that did it, made by whoever decided.
CREATE FUNCTION ledger_transfer_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'requested' OR NEW.decided_by <> '' OR NEW.refusal <> '' THEN
            RAISE EXCEPTION 'a transfer begins as a request'
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'transfer_begins_as_request';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state <> 'requested' OR NEW.state NOT IN ('posted', 'refused') THEN
        RAISE EXCEPTION 'transfer % is %: it is decided once', OLD.id, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'transfer_decided_once';
    END IF;
    IF (NEW.id, NEW.kind, NEW.party_id, NEW.currency_id, NEW.micros, NEW.payment_reference, NEW.reverses_id, NEW.note,
        NEW.requested_by, NEW.requested_at)
       IS DISTINCT FROM
       (OLD.id, OLD.kind, OLD.party_id, OLD.currency_id, OLD.micros, OLD.payment_reference, OLD.reverses_id, OLD.note,
        OLD.requested_by, OLD.requested_at) THEN
        RAISE EXCEPTION 'what transfer % asks for cannot change', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'transfer_request_fixed';
    END IF;
    IF NEW.state = 'posted' AND (NEW.refusal <> '' OR NOT EXISTS (
           SELECT FROM ledger_transaction
            WHERE id = NEW.transaction_id AND source = 'treasury' AND reference = 'transfer/' || NEW.id
              AND kind = NEW.kind AND actor = NEW.decided_by)) THEN
        RAISE EXCEPTION 'transfer % is not what transaction % posted', NEW.id, NEW.transaction_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'transfer_names_its_posting';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_transfer_guard BEFORE INSERT OR UPDATE ON ledger_transfer
    FOR EACH ROW EXECUTE FUNCTION ledger_transfer_guard();
ALTER TABLE ledger_transfer ENABLE ALWAYS TRIGGER ledger_transfer_guard;

CREATE TRIGGER ledger_transfer_stays BEFORE DELETE OR TRUNCATE ON ledger_transfer
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE ledger_transfer ENABLE ALWAYS TRIGGER ledger_transfer_stays;

REVOKE UPDATE, DELETE, TRUNCATE ON ledger_transfer FROM tokenbourse_app;
GRANT UPDATE (state, decided_by, decided_at, refusal, transaction_id) ON ledger_transfer TO tokenbourse_app;
