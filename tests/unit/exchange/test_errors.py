"""Codes of the exchange's refusals are public: unique, spelled as their class, and listed here once for all."""

from __future__ import annotations

import re

from exchange import errors
from ledger.errors import DomainError

LEAVES = [
    leaf
    for leaf in vars(errors).values()
    if isinstance(leaf, type) and issubclass(leaf, DomainError) and leaf is not DomainError
]


def test_every_refusal_has_its_own_code_named_like_the_class() -> None:
    for leaf in LEAVES:
        assert leaf.code == re.sub(r"(?<!^)(?=[A-Z])", "_", leaf.__name__).lower()
    assert len({leaf.code for leaf in LEAVES}) == len(LEAVES)
