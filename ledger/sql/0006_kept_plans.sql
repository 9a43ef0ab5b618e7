-- Plans are kept. To plan anew each time was a quarter of what a batch of one command cost the database. Held to index
-- lookups driven by arrays, these functions have one plan that is good at every size, of the tables and of the batch.
-- What meets all restricted accounts (`ledger_check_restricted`) is planned anew as before.
ALTER FUNCTION ledger_apply_entries() SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION ledger_apply_holds() SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION ledger_find_posted(text[], text[]) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION ledger_find_accounts(bigint[], bigint[], text[], text[]) SET plan_cache_mode = force_generic_plan;

-- As before, but for `transaction_id > 0`, without which a plan for any number cannot use the partial index on hold
-- entries. Such a plan expects a third of all entries where there are a few: nothing is compiled or parallel for them.
CREATE OR REPLACE FUNCTION ledger_seal(
    head_version bigint, who text, at timestamptz, batch_root bytea, kinds text[], sources text[], refs text[],
    request_hashes bytea[], effective timestamptz[], leg_counts int[], reversed bigint[], leaves bytea[]
) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE
    head ledger_ledgerhead;
    first bigint;
    last bigint;
    made_numbers bigint[]; made_legs bigint[];
    claimed_numbers bigint[]; claimed_legs bigint[];
    beyond bigint;
    chain_hash bytea;
BEGIN
    SELECT * INTO STRICT head FROM ledger_ledgerhead WHERE id = 1 FOR UPDATE;
    first := head.last_transaction + 1;
    last := head.last_transaction + cardinality(kinds);
    IF head.version IS DISTINCT FROM head_version OR last < first OR at < head.last_posted_at
       OR at >= '9999-01-01' OR octet_length(batch_root) <> 32 THEN
        RAISE EXCEPTION 'the head is at version % of %, or the batch is empty or has no root', head.version,
            head.last_posted_at
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'batch_follows_head';
    END IF;

    SELECT array_agg(number ORDER BY number), array_agg(legs ORDER BY number) INTO made_numbers, made_legs
      FROM (SELECT transaction_id - head.last_transaction AS number, count(*) AS legs FROM ledger_entry
             WHERE transaction_id > head.last_transaction GROUP BY transaction_id) AS made;
    SELECT array_agg(n ORDER BY n), array_agg(legs::bigint ORDER BY n) INTO claimed_numbers, claimed_legs
      FROM unnest(leg_counts) WITH ORDINALITY AS claim(legs, n) WHERE legs <> 0;
    SELECT max(transaction_id) INTO beyond FROM ledger_holdentry WHERE transaction_id > last AND transaction_id > 0;
    IF made_numbers IS DISTINCT FROM claimed_numbers OR made_legs IS DISTINCT FROM claimed_legs OR beyond IS NOT NULL THEN
        RAISE EXCEPTION 'the entries that were made are not those of the batch''s transactions'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entries_are_the_batch';
    END IF;
    PERFORM ledger_check_restricted(head.last_transaction);

    INSERT INTO ledger_transaction (id, batch_no, kind, source, reference, request_hash, actor, effective_at,
                                    posted_at, legs, reverses, leaf)
    SELECT head.last_transaction + n, head.last_batch + 1, kind, source, reference, request_hash, who, effective_at,
           at, legs, nullif(reverses, 0), leaf
      FROM unnest(kinds, sources, refs, request_hashes, effective, leg_counts, reversed, leaves) WITH ORDINALITY
           AS draft(kind, source, reference, request_hash, effective_at, legs, reverses, leaf, n);
    IF EXISTS (SELECT FROM unnest(reversed) AS target(id) WHERE target.id <> 0) THEN
        PERFORM ledger_check_reversals(first, last);
    END IF;

    chain_hash := sha256('\x0002'::bytea || int8send(head.last_batch + 1) || int8send(first) || int8send(last)
                         || int8send((extract(epoch FROM at) * 1000000)::bigint) || batch_root || head.last_batch_hash);
    INSERT INTO ledger_batch (no, first_transaction, last_transaction, count, root, previous, hash, actor, posted_at)
    VALUES (head.last_batch + 1, first, last, last - first + 1, batch_root, head.last_batch_hash, chain_hash, who, at);
    UPDATE ledger_ledgerhead
       SET version = version + 1, last_transaction = last, last_batch = last_batch + 1, last_batch_hash = chain_hash,
           last_posted_at = at, entered = false
     WHERE id = 1;
END $$;
