-- Whoever writes plain SQL would else decide alone, by starting at the end: what has a life is born at its beginning.
CREATE FUNCTION settlement_born_right() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'a row of % begins at the beginning of its life, not as %', TG_TABLE_NAME, NEW.state
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'born_right';
END $$;

CREATE TRIGGER born_right BEFORE INSERT ON settlement_dispute FOR EACH ROW
    WHEN (NEW.state <> 'open' OR NEW.suspended_micros <> 0 OR NEW.decided_micros IS NOT NULL OR NEW.proposed_by <> ''
          OR NEW.decided_by <> '' OR NEW.decided_at IS NOT NULL)
    EXECUTE FUNCTION settlement_born_right();
ALTER TABLE settlement_dispute ENABLE ALWAYS TRIGGER born_right;
CREATE TRIGGER born_right BEFORE INSERT ON settlement_forcemajeure FOR EACH ROW
    WHEN (NEW.state <> 'requested') EXECUTE FUNCTION settlement_born_right();
ALTER TABLE settlement_forcemajeure ENABLE ALWAYS TRIGGER born_right;
CREATE TRIGGER born_right BEFORE INSERT ON settlement_payoutaccount FOR EACH ROW
    WHEN (NEW.state <> 'requested') EXECUTE FUNCTION settlement_born_right();
ALTER TABLE settlement_payoutaccount ENABLE ALWAYS TRIGGER born_right;
CREATE TRIGGER born_right BEFORE INSERT ON settlement_paymentinstruction FOR EACH ROW
    WHEN (NEW.state <> 'created' OR NEW.returned_transaction_id IS NOT NULL OR NEW.bank_reference <> ''
          OR NEW.return_reason <> '' OR NEW.withheld <> '')
    EXECUTE FUNCTION settlement_born_right();
ALTER TABLE settlement_paymentinstruction ENABLE ALWAYS TRIGGER born_right;
-- Runs that name no usage are those of earlier releases.
CREATE TRIGGER born_right BEFORE INSERT ON settlement_settlementrun FOR EACH ROW
    WHEN (NEW.state <> 'open' OR NEW.input_digest IS NOT NULL OR NEW.usage_through IS NULL)
    EXECUTE FUNCTION settlement_born_right();
ALTER TABLE settlement_settlementrun ENABLE ALWAYS TRIGGER born_right;
CREATE TRIGGER born_right BEFORE INSERT ON settlement_settlementjob FOR EACH ROW
    WHEN (NEW.state <> 'due' OR NEW.attempt <> 0 OR NEW.fencing <> 0 OR NEW.input_digest IS NOT NULL
          OR NEW.result_digest IS NOT NULL OR NEW.finished_at IS NOT NULL)
    EXECUTE FUNCTION settlement_born_right();
ALTER TABLE settlement_settlementjob ENABLE ALWAYS TRIGGER born_right;

-- What a run settles is written while it is open. The run's row is locked until then, so that no run goes on while
-- somebody still writes; whoever goes on last finds nobody else at it.
CREATE FUNCTION settlement_run_is_open() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    named bigint[];
    still_open bigint;
BEGIN
    SELECT array_agg(DISTINCT run_id) INTO named FROM added;
    SELECT count(*) INTO still_open
      FROM (SELECT FROM settlement_settlementrun WHERE id = ANY(named) AND state = 'open' FOR SHARE) AS runs;
    IF still_open <> cardinality(named) THEN
        RAISE EXCEPTION 'rows of % are written while their run is open', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'run_is_open';
    END IF;
    RETURN NULL;
END $$;
DO $$
DECLARE
    target text;
BEGIN
    FOREACH target IN ARRAY ARRAY['settlementline', 'positionsettlement', 'frozeninput', 'unmatchedusage',
                                  'makeupcredit', 'makeupuse', 'unheld'] LOOP
        EXECUTE format('CREATE TRIGGER run_is_open AFTER INSERT ON settlement_%s REFERENCING NEW TABLE AS added '
                       'FOR EACH STATEMENT EXECUTE FUNCTION settlement_run_is_open()', target);
        EXECUTE format('ALTER TABLE settlement_%s ENABLE ALWAYS TRIGGER run_is_open', target);
    END LOOP;
END $$;

-- A job is done once, by whoever claimed it, and only with what it makes: a settled shard has what each contract was
-- settled from, and but for an indicative run its contracts are settled; a party has its statement.
CREATE FUNCTION settlement_job_leaves(job settlement_settlementjob) RETURNS boolean LANGUAGE sql STABLE
    SET search_path = public, pg_temp AS $$
    SELECT CASE job.step
        WHEN 'settle' THEN NOT EXISTS (
            SELECT FROM settlement_runcontract AS covered
              JOIN settlement_settlementrun AS run ON run.id = covered.run_id
             WHERE covered.run_id = job.run_id AND covered.shard = job.subject_id
               AND (NOT EXISTS (SELECT FROM settlement_frozeninput AS kept
                                 WHERE kept.run_id = covered.run_id AND kept.contract_id = covered.contract_id)
                    OR run.kind <> 'indicative'
                       AND NOT EXISTS (SELECT FROM exchange_contract AS contract
                                        WHERE contract.id = covered.contract_id AND contract.state = 'settled')))
        WHEN 'state' THEN EXISTS (SELECT FROM settlement_statedcore AS told
                                   WHERE told.run_id = job.run_id AND told.party_id = job.subject_id)
        WHEN 'sign' THEN EXISTS (SELECT FROM settlement_statement AS told
                                  WHERE told.run_id = job.run_id AND told.party_id = job.subject_id)
        ELSE true END
$$;
CREATE FUNCTION settlement_job_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (NEW.id, NEW.run_id, NEW.step, NEW.subject_id) IS DISTINCT FROM (OLD.id, OLD.run_id, OLD.step, OLD.subject_id)
       OR OLD.state = 'done'
       OR NEW.fencing <> OLD.fencing AND (NEW.fencing <> OLD.fencing + 1 OR NEW.state <> 'running')
       OR NEW.state = 'running' AND OLD.state <> 'running' AND NEW.fencing = OLD.fencing
       OR NEW.state = 'done' AND (OLD.state <> 'running' OR NEW.fencing = 0 OR NOT settlement_job_leaves(NEW)) THEN
        RAISE EXCEPTION 'job % is % and cannot become %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'job_is_done_by_doing';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settlement_job_guard BEFORE UPDATE ON settlement_settlementjob
    FOR EACH ROW EXECUTE FUNCTION settlement_job_guard();
ALTER TABLE settlement_settlementjob ENABLE ALWAYS TRIGGER settlement_job_guard;

CREATE TRIGGER rows_stay BEFORE DELETE OR TRUNCATE ON settlement_settlementrun
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE settlement_settlementrun ENABLE ALWAYS TRIGGER rows_stay;
CREATE TRIGGER rows_stay BEFORE DELETE OR TRUNCATE ON settlement_settlementjob
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE settlement_settlementjob ENABLE ALWAYS TRIGGER rows_stay;
