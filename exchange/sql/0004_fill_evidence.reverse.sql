DROP TRIGGER fills_match_journal ON exchange_fill;
DROP FUNCTION exchange_fills_match_journal();
