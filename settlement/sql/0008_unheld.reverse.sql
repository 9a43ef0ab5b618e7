DROP TRIGGER append_only ON settlement_unheld;
