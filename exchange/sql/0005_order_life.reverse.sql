UPDATE exchange_sequencerstate AS state
   SET last_batch = head.last_batch, last_fill = head.last_fill
  FROM exchange_exchangehead AS head
 WHERE state.shard = 1;
DELETE FROM exchange_sequencerstate WHERE shard > 1;
DROP TRIGGER append_only ON exchange_bookdelta;
DROP TRIGGER append_only ON exchange_preventedmatch;
DROP TRIGGER append_only ON exchange_fillreversal;
DROP TRIGGER append_only ON exchange_setaside;
CREATE OR REPLACE FUNCTION exchange_fills_match_journal() RETURNS trigger LANGUAGE plpgsql
    SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    bad record;
BEGIN
    WITH posted AS (
        SELECT entry.ref::text AS ref, account.party_id, account.asset_id, account.role::text AS role,
               account.qualifier::text AS qualifier, sum(entry.amount) AS amount
          FROM (SELECT DISTINCT batch_no::text AS reference FROM fresh) AS batch
          JOIN ledger_transaction tx ON tx.source = 'sequencer' AND tx.reference = batch.reference
          JOIN ledger_entry entry ON entry.transaction_id = tx.id
          JOIN ledger_account account ON account.id = entry.account_id
         GROUP BY 1, 2, 3, 4, 5
    ), trade AS (
        SELECT fresh.*, contract.symbol::text AS symbol, contract.asset_id, product.currency_id
          FROM fresh
          JOIN exchange_contract contract ON contract.id = fresh.contract_id
          JOIN exchange_product product ON product.id = contract.product_id
    ), house AS (
        SELECT id FROM ledger_party WHERE kind = 'house'
    ), due AS (
        SELECT trade.id::text AS ref, leg.*
          FROM trade CROSS JOIN LATERAL (VALUES
               (buyer_id, currency_id, 'cash', '', -(notional + buyer_fee)::numeric),
               (buyer_id, asset_id, 'entitlement', '', tokens),
               (provider_id, asset_id, 'obligation', '', -tokens)) AS leg
        UNION ALL
        SELECT '', house.id, currency_id, 'escrow', symbol, sum(notional)
          FROM trade CROSS JOIN house GROUP BY house.id, currency_id, symbol
        UNION ALL
        SELECT '', house.id, currency_id, 'fees', '', sum(buyer_fee)
          FROM trade CROSS JOIN house GROUP BY house.id, currency_id HAVING sum(buyer_fee) > 0
    )
    SELECT * INTO bad FROM (
        (TABLE posted EXCEPT TABLE due) UNION ALL (TABLE due EXCEPT TABLE posted)
    ) AS difference LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'fills and journal differ: fill "%", party %, %', bad.ref, bad.party_id, bad.role
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'fill_matches_journal';
    END IF;
    RETURN NULL;
END $$;
