DROP TRIGGER settlement_run_calendar ON settlement_settlementrun;
DROP TRIGGER append_only ON settlement_unheld;
