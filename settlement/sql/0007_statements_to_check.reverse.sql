DROP TRIGGER settlement_run_guard ON settlement_settlementrun;
DROP FUNCTION settlement_run_guard();
DROP TRIGGER settlement_dispute_guard ON settlement_dispute;
DROP FUNCTION settlement_dispute_guard();
DROP TRIGGER settlement_instruction_guard ON settlement_paymentinstruction;
DROP FUNCTION settlement_instruction_guard();
DROP TRIGGER settlement_decided_once ON settlement_payoutaccount;
DROP TRIGGER settlement_decided_once ON settlement_forcemajeure;
DROP FUNCTION settlement_decided_once();
DROP TRIGGER settlement_auditor_key_guard ON settlement_auditorkey;
DROP FUNCTION settlement_auditor_key_guard();
DO $$
DECLARE
    events regclass;
BEGIN
    FOR events IN
        SELECT oid FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
           AND relname ~ '^settlement_usageevent(_[0-9]{8})?$'
           AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = pg_class.oid)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT usage_event_speed, DROP COLUMN ttft_ms, DROP COLUMN output_ms',
                       events);
    END LOOP;
END $$;

ALTER TABLE settlement_positionsettlement RESET (toast_tuple_target);
