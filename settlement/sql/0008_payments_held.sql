GRANT UPDATE (withheld) ON settlement_paymentinstruction TO tokenbourse_app;
