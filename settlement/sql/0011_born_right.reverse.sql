DROP TRIGGER rows_stay ON settlement_settlementjob;
DROP TRIGGER rows_stay ON settlement_settlementrun;
DROP TRIGGER settlement_job_guard ON settlement_settlementjob;
DROP FUNCTION settlement_job_guard();
DROP FUNCTION settlement_job_leaves(settlement_settlementjob);
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['settlementline', 'positionsettlement', 'frozeninput', 'unmatchedusage',
                                  'makeupcredit', 'makeupuse', 'unheld'] LOOP
        EXECUTE format('DROP TRIGGER run_is_open ON settlement_%s', target);
    END LOOP;
    FOREACH target IN ARRAY ARRAY['dispute', 'forcemajeure', 'payoutaccount', 'paymentinstruction', 'settlementrun',
                                  'settlementjob'] LOOP
        EXECUTE format('DROP TRIGGER born_right ON settlement_%s', target);
    END LOOP;
END $$;
DROP FUNCTION settlement_run_is_open();
DROP FUNCTION settlement_born_right();
