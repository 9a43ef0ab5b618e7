GRANT DELETE ON exchange_listingrule TO tokenbourse_app;
DROP TRIGGER append_only ON exchange_providerdefault;
DROP TRIGGER exchange_decision_stays ON exchange_operatordecision;
DROP TRIGGER exchange_decision_guard ON exchange_operatordecision;
DROP FUNCTION exchange_decision_guard();
DROP TRIGGER reversals_match_journal ON exchange_fillreversal;
DROP FUNCTION exchange_reversals_match_journal();
