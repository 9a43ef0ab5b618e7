"""The ledger's benchmarks."""
