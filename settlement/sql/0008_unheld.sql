SELECT make_append_only('settlement_unheld');
