ALTER FUNCTION exchange_fills_match_journal() SET plan_cache_mode = force_custom_plan;
