-- What a party's statement of a run says stands in the journal once. The reference of its transaction is the statement's
-- name, a slash and the core's digest of 64 digits: a second one with another digest would have another reference, and
-- a proof of its own in the log.
CREATE UNIQUE INDEX statement_stated_once ON ledger_transaction (left(reference, -65)) WHERE source = 'statement';
