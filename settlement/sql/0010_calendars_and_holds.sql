SELECT make_append_only('settlement_unheld');

-- What a run is settled by never changes.
CREATE TRIGGER settlement_run_calendar BEFORE UPDATE OF calendar_id ON settlement_settlementrun
    FOR EACH ROW WHEN (NEW.calendar_id IS DISTINCT FROM OLD.calendar_id) EXECUTE FUNCTION refuse_change();
ALTER TABLE settlement_settlementrun ENABLE ALWAYS TRIGGER settlement_run_calendar;
