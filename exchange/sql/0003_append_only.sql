SELECT make_append_only('exchange_productterms');
SELECT make_append_only('exchange_capacitydeclaration');
SELECT make_append_only('exchange_capacityallocation');
SELECT make_append_only('exchange_intake');
SELECT make_append_only('exchange_intakeresult');
SELECT make_append_only('exchange_sequencerbatch');
SELECT make_append_only('exchange_fill');
REVOKE DELETE ON exchange_order, exchange_offer, exchange_contract, exchange_contractmarket FROM tokenbourse_app;
-- A contract's gates, band and bond are fixed when it is listed; only its life goes on.
REVOKE UPDATE ON exchange_contract FROM tokenbourse_app;
GRANT UPDATE (state, reference_price_micros, reference_step, obligations_hash) ON exchange_contract TO tokenbourse_app;
REVOKE INSERT, DELETE ON exchange_sequencerstate FROM tokenbourse_app;
INSERT INTO exchange_sequencerstate (shard, epoch, cursor, last_batch, last_fill) VALUES (1, 0, 0, 0, 0);
ALTER TABLE exchange_order SET (fillfactor = 80);
