-- History only grows. The trigger stops the owner too; the privileges stop the application earlier.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation', HINT = 'Post a compensating entry instead.';
END $$;

CREATE FUNCTION make_append_only(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s '
                   'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', target);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', target);
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM tokenbourse_app', target);
END $$;
REVOKE EXECUTE ON FUNCTION make_append_only(regclass) FROM PUBLIC;

SELECT make_append_only('ledger_transaction');
SELECT make_append_only('ledger_entry');
SELECT make_append_only('ledger_batch');
SELECT make_append_only('ledger_accountchange');
SELECT make_append_only('ledger_actionlog');
SELECT make_append_only('ledger_idempotentrequest');

-- What an amount is counted in, and whose it is, stays what it was when it was posted.
REVOKE UPDATE, DELETE, TRUNCATE ON ledger_asset, ledger_party FROM tokenbourse_app;
GRANT UPDATE (name) ON ledger_party TO tokenbourse_app;
