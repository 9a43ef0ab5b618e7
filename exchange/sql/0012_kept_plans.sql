-- Held to index lookups, it has one plan that is good at every size (`ledger/sql/0006_kept_plans.sql`).
ALTER FUNCTION exchange_fills_match_journal() SET plan_cache_mode = force_generic_plan;
