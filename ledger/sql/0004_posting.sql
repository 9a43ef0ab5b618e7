-- The posting door in the database. A batch is entries and hold entries, then one call of `ledger_seal`, which writes its
-- transactions, chains it and moves the head; nothing else of the application's role does. What was entered and not
-- sealed cannot be committed. The triggers bind the owner too.
--
-- Plans: every function that meets accounts or transactions by id is held to index lookups driven by arrays, planned
-- anew each time. A transition table has no statistics, and a plan made while the tables were small would be kept while
-- they grow.

-- What a batch may claim is decided by the head: nothing joins a sealed batch, and no second batch follows the same one.
CREATE FUNCTION ledger_transactions_follow_head() RETURNS trigger LANGUAGE plpgsql
    SET search_path = public, pg_temp AS $$
DECLARE
    lowest bigint;
    sealed bigint;
BEGIN
    SELECT min(id) INTO lowest FROM fresh;
    SELECT last_transaction INTO sealed FROM ledger_ledgerhead WHERE id = 1;
    IF lowest <= sealed THEN
        RAISE EXCEPTION 'transaction % is sealed: nothing can be added', lowest
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'transaction_after_sealed_batch';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_transactions_follow_head AFTER INSERT ON ledger_transaction
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ledger_transactions_follow_head();
ALTER TABLE ledger_transaction ENABLE ALWAYS TRIGGER ledger_transactions_follow_head;

CREATE FUNCTION ledger_batch_follows_head() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM FROM ledger_ledgerhead
      WHERE id = 1 AND NEW.no = last_batch + 1 AND NEW.first_transaction = last_transaction + 1
        AND NEW.previous = last_batch_hash AND NEW.last_transaction >= NEW.first_transaction;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'batch % does not follow the last one', NEW.no
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'batch_follows_head';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ledger_batch_follows_head BEFORE INSERT ON ledger_batch
    FOR EACH ROW EXECUTE FUNCTION ledger_batch_follows_head();
ALTER TABLE ledger_batch ENABLE ALWAYS TRIGGER ledger_batch_follows_head;

-- The head moves in two steps: marked when something is entered, and moved forward by the seal.
CREATE OR REPLACE FUNCTION ledger_head_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.entered THEN
        IF (NEW.version, NEW.last_transaction, NEW.last_batch, NEW.last_batch_hash, NEW.last_posted_at)
           = (OLD.version, OLD.last_transaction, OLD.last_batch, OLD.last_batch_hash, OLD.last_posted_at)
           AND NOT OLD.entered THEN
            RETURN NEW;
        END IF;
    ELSIF NEW.version = OLD.version + 1 AND NEW.last_batch IN (OLD.last_batch, OLD.last_batch + 1)
          AND (NEW.last_transaction > OLD.last_transaction) = (NEW.last_batch > OLD.last_batch)
          AND NEW.last_posted_at >= OLD.last_posted_at THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'the ledger head moves forward only' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION ledger_must_be_sealed() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF (SELECT entered FROM ledger_ledgerhead WHERE id = 1) THEN
        RAISE EXCEPTION 'entries that no batch seals cannot be committed'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entered_and_sealed';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_must_be_sealed AFTER UPDATE ON ledger_ledgerhead DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.entered) EXECUTE FUNCTION ledger_must_be_sealed();
ALTER TABLE ledger_ledgerhead ENABLE ALWAYS TRIGGER ledger_must_be_sealed;

-- Every account fits its asset and its holder, so that nobody can make an outside world of their own.
CREATE FUNCTION ledger_accounts_fit() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    bad record;
BEGIN
    SELECT fresh.id, fresh.role INTO bad
      FROM fresh
      LEFT JOIN ledger_asset asset ON asset.id = fresh.asset_id
      LEFT JOIN ledger_party party ON party.id = fresh.party_id
     WHERE asset.id IS NULL OR party.id IS NULL OR fresh.id < 1
        OR fresh.role NOT IN ('cash', 'escrow', 'fees', 'suspense', 'held_share', 'default_fund', 'debt', 'claim',
                              'external', 'entitlement', 'obligation')
        OR (fresh.role IN ('entitlement', 'obligation')) <> (asset.kind = 'contract')
        OR (fresh.role IN ('escrow', 'fees', 'suspense', 'held_share', 'default_fund', 'external')
            AND party.kind <> 'house')
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % of role % does not fit its asset or its party', bad.id, bad.role
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'account_fits';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_accounts_fit AFTER INSERT ON ledger_account
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ledger_accounts_fit();
ALTER TABLE ledger_account ENABLE ALWAYS TRIGGER ledger_accounts_fit;

CREATE OR REPLACE FUNCTION ledger_account_opens_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.balance <> 0 OR NEW.held <> 0 OR NEW.seq <> 0 OR NEW.hold_seq <> 0 OR NEW.floor < 0
       OR NEW.frozen OR NEW.closed THEN
        RAISE EXCEPTION 'an account opens empty and without credit' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

-- Entries: zero sum, all legs of transactions that exist, running balance, gap-free sequence, nothing added to what is
-- sealed; and the only writer of balance and seq.
CREATE OR REPLACE FUNCTION ledger_apply_entries() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    made record;
    sealed bigint;
    broken bigint;
    matched bigint;
    ids bigint[]; assets bigint[];
    old_seqs bigint[]; new_seqs bigint[]; old_balances bigint[]; new_balances bigint[];
BEGIN
    WITH per_asset AS (
        SELECT transaction_id, sum(amount) AS total, count(*) AS legs, min(leg) AS first_leg, max(leg) AS last_leg
          FROM fresh GROUP BY transaction_id, asset_id
    ), per_transaction AS (
        SELECT transaction_id, sum(legs)::bigint AS legs, min(first_leg) AS first_leg, max(last_leg) AS last_leg,
               bool_or(total <> 0) AS off
          FROM per_asset GROUP BY transaction_id
    )
    SELECT count(*) AS transactions, min(transaction_id) AS lowest,
           min(transaction_id) FILTER (WHERE off) AS unbalanced,
           min(transaction_id) FILTER (WHERE first_leg <> 1 OR last_leg <> legs) AS misnumbered
      INTO made
      FROM per_transaction;
    IF made.transactions = 0 THEN
        RETURN NULL;
    END IF;
    SELECT last_transaction INTO sealed FROM ledger_ledgerhead WHERE id = 1 FOR UPDATE;
    IF made.lowest <= sealed THEN
        RAISE EXCEPTION 'transaction % is sealed: nothing can be added', made.lowest
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entry_not_into_sealed_batch';
    END IF;
    IF made.unbalanced IS NOT NULL THEN
        RAISE EXCEPTION 'transaction % does not sum to 0 in every asset', made.unbalanced
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entry_zero_sum';
    END IF;
    IF made.misnumbered IS NOT NULL THEN
        RAISE EXCEPTION 'the legs of transaction % are not numbered from 1 on', made.misnumbered
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entry_legs_numbered';
    END IF;

    WITH chained AS (
        SELECT account_id, asset_id, account_seq, amount, balance_after,
               lag(account_seq) OVER account AS previous_seq,
               lag(balance_after) OVER account AS previous_balance,
               lag(asset_id) OVER account AS previous_asset,
               lead(account_seq) OVER account AS next_seq
          FROM fresh WINDOW account AS (PARTITION BY account_id ORDER BY account_seq)
    )  -- the arrays fill in the order of the window, so their places agree
    SELECT count(*) FILTER (WHERE previous_seq IS NOT NULL AND (account_seq <> previous_seq + 1
                            OR balance_after <> previous_balance + amount OR asset_id <> previous_asset)),
           array_agg(account_id) FILTER (WHERE previous_seq IS NULL),
           array_agg(asset_id) FILTER (WHERE previous_seq IS NULL),
           array_agg(account_seq - 1) FILTER (WHERE previous_seq IS NULL),
           array_agg(balance_after - amount) FILTER (WHERE previous_seq IS NULL),
           array_agg(account_seq) FILTER (WHERE next_seq IS NULL),
           array_agg(balance_after) FILTER (WHERE next_seq IS NULL)
      INTO broken, ids, assets, old_seqs, old_balances, new_seqs, new_balances
      FROM chained;
    IF broken > 0 THEN
        RAISE EXCEPTION 'an account''s running balance or sequence does not follow from the entry before'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entry_chain';
    END IF;

    UPDATE ledger_account AS account
       SET balance = change.new_balance, seq = change.new_seq
      FROM unnest(ids, assets, old_seqs, old_balances, new_seqs, new_balances)
           AS change(id, asset_id, old_seq, old_balance, new_seq, new_balance)
     WHERE account.id = change.id AND account.asset_id = change.asset_id AND NOT account.closed
       AND account.seq = change.old_seq AND account.balance = change.old_balance;
    GET DIAGNOSTICS matched = ROW_COUNT;
    IF matched <> cardinality(ids) THEN
        RAISE EXCEPTION '% of % accounts do not exist, are closed, hold another asset, or stand elsewhere than the entries say',
            cardinality(ids) - matched, cardinality(ids)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'entry_continues_account';
    END IF;
    UPDATE ledger_ledgerhead SET entered = true WHERE id = 1 AND NOT entered;
    RETURN NULL;
END $$;

-- Hold entries: the same for what accounts hold back; the only writer of held and hold_seq. The CHECK on the account
-- decides whether it may hold so much.
CREATE FUNCTION ledger_apply_holds() RETURNS trigger LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    lowest bigint;
    sealed bigint;
    broken bigint;
    matched bigint;
    ids bigint[]; old_seqs bigint[]; new_seqs bigint[]; old_helds bigint[]; new_helds bigint[];
BEGIN
    SELECT min(transaction_id) INTO lowest FROM fresh;
    IF lowest IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT last_transaction INTO sealed FROM ledger_ledgerhead WHERE id = 1 FOR UPDATE;
    IF lowest <= sealed THEN
        RAISE EXCEPTION 'transaction % is sealed: nothing can be added', lowest
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'hold_not_into_sealed_batch';
    END IF;

    WITH chained AS (
        SELECT account_id, hold_seq, delta, held_after,
               lag(hold_seq) OVER account AS previous_seq,
               lag(held_after) OVER account AS previous_held,
               lead(hold_seq) OVER account AS next_seq
          FROM fresh WINDOW account AS (PARTITION BY account_id ORDER BY hold_seq)
    )
    SELECT count(*) FILTER (WHERE previous_seq IS NOT NULL
                            AND (hold_seq <> previous_seq + 1 OR held_after <> previous_held + delta)),
           array_agg(account_id) FILTER (WHERE previous_seq IS NULL),
           array_agg(hold_seq - 1) FILTER (WHERE previous_seq IS NULL),
           array_agg(held_after - delta) FILTER (WHERE previous_seq IS NULL),
           array_agg(hold_seq) FILTER (WHERE next_seq IS NULL),
           array_agg(held_after) FILTER (WHERE next_seq IS NULL)
      INTO broken, ids, old_seqs, old_helds, new_seqs, new_helds
      FROM chained;
    IF broken > 0 THEN
        RAISE EXCEPTION 'what an account holds back does not follow from the hold entry before'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'hold_chain';
    END IF;

    UPDATE ledger_account AS account
       SET held = change.new_held, hold_seq = change.new_seq
      FROM unnest(ids, old_seqs, old_helds, new_seqs, new_helds)
           AS change(id, old_seq, old_held, new_seq, new_held)
     WHERE account.id = change.id AND NOT account.closed
       AND account.hold_seq = change.old_seq AND account.held = change.old_held;
    GET DIAGNOSTICS matched = ROW_COUNT;
    IF matched <> cardinality(ids) THEN
        RAISE EXCEPTION '% of % accounts do not exist, are closed, or hold something else than the hold entries say',
            cardinality(ids) - matched, cardinality(ids)
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'hold_continues_account';
    END IF;
    UPDATE ledger_ledgerhead SET entered = true WHERE id = 1 AND NOT entered;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_apply_holds AFTER INSERT ON ledger_holdentry
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ledger_apply_holds();
ALTER TABLE ledger_holdentry ENABLE ALWAYS TRIGGER ledger_apply_holds;
REVOKE EXECUTE ON FUNCTION ledger_apply_holds() FROM PUBLIC;
SELECT make_append_only('ledger_holdentry');

-- A reversal takes back exactly what it names.
CREATE FUNCTION ledger_check_reversals(first bigint, last bigint) RETURNS void LANGUAGE plpgsql
    SET search_path = public, pg_temp AS $$
DECLARE
    bad bigint;
BEGIN
    SELECT posted.id INTO bad
      FROM ledger_transaction posted
     WHERE posted.id BETWEEN first AND last AND posted.reverses IS NOT NULL
       AND (posted.reverses >= posted.id OR posted.legs = 0
            OR NOT EXISTS (SELECT FROM ledger_entry WHERE transaction_id = posted.reverses)
            OR EXISTS (SELECT FROM ledger_entry
                        WHERE transaction_id IN (posted.id, posted.reverses)
                        GROUP BY account_id HAVING sum(amount) <> 0))
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'transaction % does not mirror the one it reverses', bad
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'reversal_mirrors';
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION ledger_check_reversals(bigint, bigint) FROM PUBLIC;

-- What the door reads, by keys. Of references that were posted before, their transactions; of accounts, their figures.
CREATE FUNCTION ledger_find_posted(sources text[], refs text[])
    RETURNS TABLE (source varchar, reference varchar, id bigint, request_hash bytea, kind varchar,
                   effective_at timestamptz, reverses bigint)
    LANGUAGE plpgsql STABLE SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN QUERY
    SELECT posted.source, posted.reference, posted.id, posted.request_hash, posted.kind, posted.effective_at,
           posted.reverses
      FROM unnest(sources, refs) AS asked(source, reference)
      JOIN ledger_transaction posted ON posted.source = asked.source AND posted.reference = asked.reference;
END $$;

CREATE FUNCTION ledger_find_accounts(parties bigint[], assets bigint[], roles text[], qualifiers text[])
    RETURNS TABLE (place bigint, id bigint, balance bigint, held bigint, seq bigint, hold_seq bigint, floor bigint,
                   frozen boolean, closed boolean)
    LANGUAGE plpgsql STABLE SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN QUERY
    SELECT wanted.place, account.id, account.balance, account.held, account.seq, account.hold_seq, account.floor,
           account.frozen, account.closed
      FROM unnest(parties, assets, roles, qualifiers) WITH ORDINALITY
           AS wanted(party_id, asset_id, role, qualifier, place)
      JOIN ledger_account account ON account.party_id = wanted.party_id AND account.asset_id = wanted.asset_id
       AND account.role = wanted.role AND account.qualifier = wanted.qualifier;
END $$;

-- Whoever is frozen gives nothing, and whoever is closed is not touched, by what a batch comes to as a whole.
CREATE FUNCTION ledger_check_restricted(sealed bigint) RETURNS void LANGUAGE plpgsql
    SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    restricted bigint[] := (SELECT array_agg(id) FROM ledger_account WHERE frozen OR closed);
    bad bigint;
BEGIN
    IF restricted IS NULL THEN
        RETURN;
    END IF;
    SELECT moved.account_id INTO bad
      FROM (SELECT account_id, amount::numeric AS room FROM ledger_entry WHERE transaction_id > sealed
            UNION ALL
            SELECT account_id, -delta FROM ledger_holdentry WHERE transaction_id > sealed) AS moved
     WHERE moved.account_id = ANY(restricted)
     GROUP BY moved.account_id HAVING sum(moved.room) < 0
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account % is frozen and gives', bad
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'account_frozen';
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION ledger_check_restricted(bigint) FROM PUBLIC;

-- Close a batch: its transactions (arrays in number order), its place in the chain, the head. The entries that were made
-- must be exactly theirs.
CREATE FUNCTION ledger_seal(
    head_version bigint, who text, at timestamptz, batch_root bytea, kinds text[], sources text[], refs text[],
    request_hashes bytea[], effective timestamptz[], leg_counts int[], reversed bigint[], leaves bytea[]
) RETURNS void LANGUAGE plpgsql
    SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
    SELECT max(transaction_id) INTO beyond FROM ledger_holdentry WHERE transaction_id > last;
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

-- Floors and flags change only with their evidence.
DROP FUNCTION ledger_set_floor(bigint, bigint, text, text, timestamptz);
CREATE FUNCTION ledger_set_floors(targets bigint[], floors bigint[], who text, why text, at timestamptz)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head bigint;
    changed bigint;
BEGIN
    SELECT version INTO STRICT head FROM ledger_ledgerhead WHERE id = 1 FOR UPDATE;
    INSERT INTO ledger_accountchange (account_id, what, before, after, actor, reason, at, head_version)
    SELECT account.id, 'floor', coalesce(account.floor::text, 'none'), coalesce(wanted.floor::text, 'none'), who, why,
           at, head + 1
      FROM unnest(targets, floors) AS wanted(id, floor) JOIN ledger_account account ON account.id = wanted.id
     ORDER BY account.id;
    UPDATE ledger_account AS account SET floor = wanted.floor
      FROM unnest(targets, floors) AS wanted(id, floor) WHERE account.id = wanted.id;
    GET DIAGNOSTICS changed = ROW_COUNT;
    IF changed IS DISTINCT FROM cardinality(targets) THEN
        RAISE EXCEPTION 'a floor names an unknown account, or one twice'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    UPDATE ledger_ledgerhead SET version = version + 1 WHERE id = 1;
END $$;

CREATE OR REPLACE FUNCTION ledger_set_flags(target bigint, now_frozen boolean, now_closed boolean, who text, why text, at timestamptz)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    was record;
    head bigint;
BEGIN
    SELECT version INTO STRICT head FROM ledger_ledgerhead WHERE id = 1 FOR UPDATE;
    SELECT frozen, closed, balance, held INTO STRICT was FROM ledger_account WHERE id = target;
    IF was.closed OR (now_closed AND (was.balance <> 0 OR was.held <> 0)) THEN
        RAISE EXCEPTION 'an account closes empty, and for ever' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    UPDATE ledger_account SET frozen = now_frozen, closed = now_closed WHERE id = target;
    INSERT INTO ledger_accountchange (account_id, what, before, after, actor, reason, at, head_version)
    VALUES (target, 'flags', format('frozen=%s closed=%s', was.frozen, was.closed),
            format('frozen=%s closed=%s', now_frozen, now_closed), who, why, at, head + 1);
    UPDATE ledger_ledgerhead SET version = version + 1 WHERE id = 1;
END $$;

DROP FUNCTION ledger_change_held(bigint[], bigint[]);
REVOKE INSERT ON ledger_transaction, ledger_batch, ledger_account FROM tokenbourse_app;
GRANT INSERT (party_id, asset_id, role, qualifier, balance, held, seq, hold_seq, floor, frozen, closed)
    ON ledger_account TO tokenbourse_app;  -- not its id, which somebody could take from an account to come
REVOKE UPDATE ON ledger_ledgerhead FROM tokenbourse_app;
GRANT UPDATE (id) ON ledger_ledgerhead TO tokenbourse_app;  -- enough to lock the row; the trigger refuses the update
REVOKE EXECUTE ON FUNCTION ledger_set_floors(bigint[], bigint[], text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_set_floors(bigint[], bigint[], text, text, timestamptz) TO tokenbourse_app;
REVOKE EXECUTE ON FUNCTION ledger_seal(bigint, text, timestamptz, bytea, text[], text[], text[], bytea[], timestamptz[],
                                       int[], bigint[], bytea[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger_seal(bigint, text, timestamptz, bytea, text[], text[], text[], bytea[], timestamptz[],
                                      int[], bigint[], bytea[]) TO tokenbourse_app;

-- What readers rely on without looking: digests are whole, and instants are ones that every client can read.
ALTER TABLE ledger_transaction ADD CONSTRAINT transaction_digests_whole
    CHECK (octet_length(leaf) = 32 AND octet_length(request_hash) = 32);
ALTER TABLE ledger_batch ADD CONSTRAINT batch_digests_whole
    CHECK (octet_length(root) = 32 AND octet_length(hash) = 32);
DO $$
DECLARE
    instant record;
BEGIN
    FOR instant IN
        SELECT * FROM (VALUES ('ledger_transaction', 'effective_at'), ('ledger_accountchange', 'at'),
                              ('ledger_transfer', 'requested_at'), ('ledger_transfer', 'decided_at'),
                              ('ledger_checkpoint', 'signed_at'), ('ledger_periodseal', 'sealed_at'),
                              ('ledger_auditrun', 'started_at'), ('ledger_auditrun', 'finished_at'))
               AS kept(target, field)
    LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I CHECK (%I >= ''0001-01-02'' AND %I < ''9999-01-01'')',
                       instant.target, instant.target || '_' || instant.field || '_readable', instant.field,
                       instant.field);
    END LOOP;
END $$;

SELECT make_append_only('ledger_lognode');
SELECT make_append_only('ledger_checkpoint');
SELECT make_append_only('ledger_periodseal');
SELECT make_append_only('ledger_auditrun');
