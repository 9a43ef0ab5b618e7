ALTER FUNCTION ledger_apply_entries() SET plan_cache_mode = force_custom_plan;
ALTER FUNCTION ledger_apply_holds() SET plan_cache_mode = force_custom_plan;
ALTER FUNCTION ledger_find_posted(text[], text[]) SET plan_cache_mode = force_custom_plan;
ALTER FUNCTION ledger_find_accounts(bigint[], bigint[], text[], text[]) SET plan_cache_mode = force_custom_plan;
ALTER FUNCTION ledger_seal(bigint, text, timestamptz, bytea, text[], text[], text[], bytea[], timestamptz[], int[], bigint[],
                           bytea[]) SET plan_cache_mode = force_custom_plan;
