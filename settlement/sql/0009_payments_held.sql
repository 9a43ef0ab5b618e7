-- A return of money that had left is told by a bank's file and decided by somebody who neither took it in nor sent it.
CREATE FUNCTION settlement_payment_return_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'requested' THEN
            RAISE EXCEPTION 'a return is requested first'
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'request_decided_once';
        END IF;
    ELSIF OLD.state <> 'requested' OR NEW.state NOT IN ('confirmed', 'refused') THEN
        RAISE EXCEPTION 'return % is %: it is decided once', OLD.id, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'request_decided_once';
    ELSIF EXISTS (SELECT FROM settlement_paymentinstruction AS payment
                    JOIN settlement_paymentfile AS file ON file.id = payment.file_id
                   WHERE payment.id = OLD.instruction_id AND file.created_by = NEW.decided_by) THEN
        RAISE EXCEPTION 'return % is not decided by who exported the payment', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'return_decided_by_another';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settlement_payment_return_guard BEFORE INSERT OR UPDATE ON settlement_paymentreturn
    FOR EACH ROW EXECUTE FUNCTION settlement_payment_return_guard();
ALTER TABLE settlement_paymentreturn ENABLE ALWAYS TRIGGER settlement_payment_return_guard;

CREATE FUNCTION settlement_return_accepted() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM settlement_paymentreturn WHERE instruction_id = OLD.id AND state = 'confirmed') THEN
        RAISE EXCEPTION 'payment % was paid: nobody has accepted its return', OLD.end_to_end_id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'return_accepted';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settlement_return_accepted BEFORE UPDATE ON settlement_paymentinstruction
    FOR EACH ROW WHEN (OLD.state = 'confirmed' AND NEW.state = 'returned') EXECUTE FUNCTION settlement_return_accepted();
ALTER TABLE settlement_paymentinstruction ENABLE ALWAYS TRIGGER settlement_return_accepted;

CREATE TRIGGER rows_stay BEFORE DELETE OR TRUNCATE ON settlement_paymentreturn
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE settlement_paymentreturn ENABLE ALWAYS TRIGGER rows_stay;

REVOKE UPDATE, DELETE, TRUNCATE ON settlement_paymentreturn FROM tokenbourse_app;
GRANT UPDATE (state, decided_by, decided_at) ON settlement_paymentreturn TO tokenbourse_app;
INSERT INTO settlement_invoicedrun (run_id, invoiced_at)
SELECT run_id, min(created_at) FROM settlement_invoicerow GROUP BY run_id;
SELECT make_append_only('settlement_invoicedrun');
GRANT UPDATE (withheld) ON settlement_paymentinstruction TO tokenbourse_app;
