"""The clearing core: what events of the book mean in money, tokens and holds. Pure, integers only.

`terms` fixes a contract's figures, `amounts` computes, `prices` reads and writes prices and quantities, `fills` turns
events into fills and hold changes, `drafts` turns those into the one ledger transaction of a batch.
"""
