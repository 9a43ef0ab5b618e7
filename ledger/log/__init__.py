"""The ledger's log: a Merkle tree over all batches, its signed heads, proofs out of it, and the seals of periods."""
