DROP TRIGGER append_only ON settlement_statement;
DROP TRIGGER append_only ON settlement_shareschedule;
DROP TRIGGER append_only ON settlement_positionsettlement;
DROP TRIGGER append_only ON settlement_usageconflict;
DROP FUNCTION settlement_ensure_usage_partition(date);
DROP TABLE settlement_usageevent;
DROP SEQUENCE settlement_usageevent_id_seq;
DROP TABLE settlement_usagededup;
