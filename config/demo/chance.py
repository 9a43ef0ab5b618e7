"""Seeded chance: each purpose draws from a stream of its own, so that a change in one moves no other."""

from __future__ import annotations

from random import Random


def stream(seed: int, purpose: str) -> Random:
    """The same numbers for the same seed and purpose, on every machine. Not for secrets."""
    return Random(f"{seed}/{purpose}")  # noqa: S311 - a simulation must be repeatable
