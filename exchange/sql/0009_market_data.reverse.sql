DROP INDEX fillreversal_in_order;
DELETE FROM exchange_candlecursor;
