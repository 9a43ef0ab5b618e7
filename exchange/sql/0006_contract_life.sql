-- A fill is taken back once, by a posting of its own that mirrors its legs and frees what it held for the position. The
-- journal is written first, then the reversals of the batch in one statement.
CREATE FUNCTION exchange_reversals_match_journal() RETURNS trigger LANGUAGE plpgsql
    SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    bad record;
BEGIN
    WITH posted AS (
        SELECT fresh.fill_id, account.party_id, account.asset_id, account.role::text AS role,
               account.qualifier::text AS qualifier, sum(entry.amount) AS amount
          FROM fresh
          JOIN ledger_transaction tx ON tx.source = 'sequencer' AND tx.reference = 'reversal-' || fresh.fill_id
          JOIN ledger_entry entry ON entry.transaction_id = tx.id
          JOIN ledger_account account ON account.id = entry.account_id
         GROUP BY 1, 2, 3, 4, 5
    ), trade AS (
        SELECT fill.*, contract.symbol::text AS symbol, contract.asset_id, product.currency_id
          FROM fresh
          JOIN exchange_fill fill ON fill.id = fresh.fill_id AND fill.contract_id = fresh.contract_id
          JOIN exchange_contract contract ON contract.id = fill.contract_id
          JOIN exchange_product product ON product.id = contract.product_id
    ), house AS (
        SELECT id FROM ledger_party WHERE kind = 'house'
    ), due AS (
        SELECT trade.id AS fill_id, leg.*
          FROM trade CROSS JOIN LATERAL (VALUES
               (buyer_id, currency_id, 'cash', '', (notional + buyer_fee)::numeric),
               (buyer_id, asset_id, 'entitlement', '', -tokens),
               (provider_id, asset_id, 'obligation', '', tokens)) AS leg
        UNION ALL
        SELECT trade.id, house.id, currency_id, 'escrow', symbol, -notional FROM trade CROSS JOIN house
        UNION ALL
        SELECT trade.id, house.id, currency_id, 'fees', '', -buyer_fee FROM trade CROSS JOIN house WHERE buyer_fee > 0
    )
    SELECT * INTO bad FROM (
        (TABLE posted EXCEPT TABLE due) UNION ALL (TABLE due EXCEPT TABLE posted)
    ) AS difference LIMIT 1;
    IF FOUND OR EXISTS (SELECT fill_id, contract_id FROM fresh EXCEPT SELECT id, contract_id FROM exchange_fill
               WHERE id IN (SELECT fill_id FROM fresh)) THEN
        RAISE EXCEPTION 'a reversal and its posting differ: fill %, party %, %', bad.fill_id, bad.party_id, bad.role
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'fill_reversal_matches_journal';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER reversals_match_journal AFTER INSERT ON exchange_fillreversal
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION exchange_reversals_match_journal();
ALTER TABLE exchange_fillreversal ENABLE ALWAYS TRIGGER reversals_match_journal;

-- A decision begins as a request and is decided once; what was asked for never changes.
CREATE FUNCTION exchange_decision_guard() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'requested' OR NEW.seqs <> '[]'::jsonb THEN
            RAISE EXCEPTION 'a decision begins as a request'
                USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'decision_begins_as_request';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state <> 'requested' OR NEW.state NOT IN ('approved', 'refused') THEN
        RAISE EXCEPTION 'decision % is %: it is decided once', OLD.id, OLD.state
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'decision_decided_once';
    END IF;
    IF (NEW.id, NEW.kind, NEW.subject, NEW.payload, NEW.reason, NEW.requested_by, NEW.requested_at)
       IS DISTINCT FROM
       (OLD.id, OLD.kind, OLD.subject, OLD.payload, OLD.reason, OLD.requested_by, OLD.requested_at) THEN
        RAISE EXCEPTION 'what decision % asks for cannot change', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'decision_request_fixed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER exchange_decision_guard BEFORE INSERT OR UPDATE ON exchange_operatordecision
    FOR EACH ROW EXECUTE FUNCTION exchange_decision_guard();
ALTER TABLE exchange_operatordecision ENABLE ALWAYS TRIGGER exchange_decision_guard;
CREATE TRIGGER exchange_decision_stays BEFORE DELETE OR TRUNCATE ON exchange_operatordecision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE exchange_operatordecision ENABLE ALWAYS TRIGGER exchange_decision_stays;
REVOKE UPDATE, DELETE, TRUNCATE ON exchange_operatordecision FROM tokenbourse_app;
GRANT UPDATE (state, decided_by, decided_at, refusal, seqs) ON exchange_operatordecision TO tokenbourse_app;

GRANT UPDATE (state_reason, cancelled_at) ON exchange_contract TO tokenbourse_app;
SELECT make_append_only('exchange_providerdefault');
REVOKE DELETE ON exchange_listingrule FROM tokenbourse_app;
