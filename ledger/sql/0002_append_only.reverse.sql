DROP TRIGGER append_only ON ledger_transaction;
DROP TRIGGER append_only ON ledger_entry;
DROP TRIGGER append_only ON ledger_batch;
DROP TRIGGER append_only ON ledger_accountchange;
DROP TRIGGER append_only ON ledger_actionlog;
DROP TRIGGER append_only ON ledger_idempotentrequest;
DROP FUNCTION make_append_only(regclass);
DROP FUNCTION refuse_change();
