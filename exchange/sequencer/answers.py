"""What a command's result looks like: JSON-safe, written once, read by whoever waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger.errors import Category, DomainError

Answer = dict[str, Any]


class RefusedCommand(DomainError):
    """A refusal read back from a result: code, category and figures are those of the first raise."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__(answer["message"], **answer.get("fields", {}))
        self.code = answer["code"]
        self.category = Category(answer["category"])


def accepted(**figures: Any) -> Answer:
    return {"status": "accepted", **figures}


def refused(refusal: DomainError) -> Answer:
    """The rules of the market said no."""
    return {
        "status": "refused",
        "code": refusal.code,
        "category": refusal.category.value,
        "message": refusal.message,
        "fields": refusal.fields,
    }


def failed() -> Answer:
    """We could not process it; nothing happened. The log has the reason."""
    return {
        "status": "failed",
        "code": "internal_error",
        "category": Category.BUSY.value,
        "message": "The command could not be processed and changed nothing. An operator has been told.",
    }
