DROP TRIGGER ledger_transfer_stays ON ledger_transfer;
DROP TRIGGER ledger_transfer_guard ON ledger_transfer;
DROP FUNCTION ledger_transfer_guard();
REVOKE UPDATE (state, decided_by, decided_at, refusal, transaction_id) ON ledger_transfer FROM tokenbourse_app;
GRANT UPDATE, DELETE ON ledger_transfer TO tokenbourse_app;
