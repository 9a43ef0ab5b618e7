SELECT make_append_only('exchange_feeschedule');
-- Volumes are counted over the last days of a table that only grows by time: a few pages say where those begin.
CREATE INDEX fill_by_time ON exchange_fill USING brin (executed_at) WITH (autosummarize = on);
