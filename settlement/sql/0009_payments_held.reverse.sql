DROP TRIGGER settlement_return_accepted ON settlement_paymentinstruction;
DROP FUNCTION settlement_return_accepted();
DROP TRIGGER settlement_payment_return_guard ON settlement_paymentreturn;
DROP FUNCTION settlement_payment_return_guard();
REVOKE UPDATE (withheld) ON settlement_paymentinstruction FROM tokenbourse_app;
