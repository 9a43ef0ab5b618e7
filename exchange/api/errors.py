"""Refusals of the exchange's part of the REST interface."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class PositionNotFound(DomainError):
    """The party has bought or sold nothing in this contract."""

    code = "position_not_found"
    category = Category.NOT_FOUND
