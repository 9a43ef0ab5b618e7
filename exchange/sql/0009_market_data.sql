-- The roll-up finds the reversals it has not counted by this.
CREATE INDEX fillreversal_in_order ON exchange_fillreversal (batch_no, fill_id);
-- Running candles are updated in place.
ALTER TABLE exchange_candle SET (fillfactor = 80);
INSERT INTO exchange_candlecursor (id, fill_id, reversal_batch_no, reversal_fill_id) VALUES (1, 0, 0, 0);
REVOKE INSERT, DELETE ON exchange_candlecursor FROM tokenbourse_app;
