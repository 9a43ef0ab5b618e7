-- Orders from before had no other terms than these; what they hold stays as it is.
UPDATE exchange_order AS standing
   SET group_id = party_id, priority = standing.id, maker_fee_ppm = rate.ppm, taker_fee_ppm = rate.ppm
  FROM exchange_contract AS contract
  JOIN exchange_productterms AS pinned ON pinned.id = contract.terms_id
 CROSS JOIN LATERAL (VALUES ('buy', (pinned.terms ->> 'buyer_fee_ppm')::int),
                            ('sell', (pinned.terms ->> 'provider_fee_ppm')::int)) AS rate(side, ppm)
 WHERE contract.id = standing.contract_id AND rate.side = standing.side;

INSERT INTO exchange_exchangehead (id, last_batch, last_fill, last_ran_at)
SELECT 1, last_batch, last_fill, (SELECT max(ran_at) FROM exchange_sequencerbatch)
  FROM exchange_sequencerstate WHERE shard = 1;
REVOKE INSERT, DELETE ON exchange_exchangehead FROM tokenbourse_app;
REVOKE DELETE ON exchange_deadmanswitch, exchange_tradegroup FROM tokenbourse_app;
SELECT make_append_only('exchange_bookdelta');
SELECT make_append_only('exchange_preventedmatch');
SELECT make_append_only('exchange_fillreversal');
SELECT make_append_only('exchange_setaside');
INSERT INTO exchange_sequencerstate (shard, epoch, cursor, last_batch, last_fill)
SELECT shard, 0, 0, 0, 0 FROM generate_series(2, 8) AS shard;

-- The same as before, by index lookups alone: the tables grow under a plan that was made while they were small. Both
-- sides are added up against each other instead of compared as sets, so that each leg is looked at once; what is due is
-- one entry a leg and contract, neither more nor fewer. The batches are an array, since a join to them was planned as a
-- walk over all transactions of the sequencer.
CREATE OR REPLACE FUNCTION exchange_fills_match_journal() RETURNS trigger LANGUAGE plpgsql
    SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    house bigint := (SELECT id FROM ledger_party WHERE kind = 'house');
    batches text[] := (SELECT array_agg(DISTINCT batch_no::text) FROM fresh);
    bad record;
BEGIN
    WITH trade AS MATERIALIZED (
        SELECT fresh.id::text AS ref, fresh.buyer_id, fresh.provider_id, fresh.notional, fresh.buyer_fee, fresh.tokens,
               contract.symbol::text AS symbol, contract.asset_id, product.currency_id
          FROM fresh
          JOIN exchange_contract contract ON contract.id = fresh.contract_id
          JOIN exchange_product product ON product.id = contract.product_id
    ), contract_sum AS (
        SELECT currency_id, symbol, sum(notional)::bigint AS notional, sum(buyer_fee)::bigint AS fees
          FROM trade GROUP BY currency_id, symbol
    ), leg AS (
        SELECT 1 AS made, entry.ref::text AS ref, account.party_id, account.asset_id, account.role::text AS role,
               account.qualifier::text AS qualifier, entry.amount
          FROM ledger_transaction tx
          JOIN ledger_entry entry ON entry.transaction_id = tx.id
          JOIN ledger_account account ON account.id = entry.account_id
         WHERE tx.source = 'sequencer' AND tx.reference = ANY(batches)
        UNION ALL
        SELECT -1, ref, buyer_id, currency_id, 'cash', '', notional + buyer_fee FROM trade
        UNION ALL
        SELECT -1, ref, buyer_id, asset_id, 'entitlement', '', -tokens FROM trade
        UNION ALL
        SELECT -1, ref, provider_id, asset_id, 'obligation', '', tokens FROM trade
        UNION ALL
        SELECT -1, '', house, currency_id, 'escrow', symbol, -notional FROM contract_sum
        UNION ALL
        SELECT -1, '', house, currency_id, 'fees', '', -fees FROM contract_sum WHERE fees > 0
    )
    SELECT ref, party_id, role INTO bad
      FROM leg GROUP BY ref, party_id, asset_id, role, qualifier
    HAVING sum(amount) <> 0 OR sum(made) <> 0
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'fills and journal differ: fill "%", party %, %', bad.ref, bad.party_id, bad.role
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'fill_matches_journal';
    END IF;
    RETURN NULL;
END $$;
