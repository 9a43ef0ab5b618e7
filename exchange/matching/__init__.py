"""The matching core: one book a contract, price-time priority, integers only.

Commands in, past-tense events out. It knows orders and nothing else: no money, no database, no clock, no I/O. The
same commands always give the same events. Money lives in `exchange.clearing`.
"""
