DROP INDEX fill_by_time;
DROP TRIGGER append_only ON exchange_feeschedule;
