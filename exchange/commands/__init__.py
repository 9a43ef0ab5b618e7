"""Use cases that change something, one module each: a frozen command, and the function that runs it.

A use case calls primitives of the ledger and the intake, never another use case.
"""
