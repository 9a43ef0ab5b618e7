REVOKE UPDATE (withheld) ON settlement_paymentinstruction FROM tokenbourse_app;
