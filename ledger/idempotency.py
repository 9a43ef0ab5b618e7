"""Idempotency keys: the same key with the same content gets the first answer, for ever; other content a conflict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from ledger.errors import Category, DomainError
from ledger.models import IdempotentRequest


class IdempotencyConflict(DomainError):
    """The Idempotency-Key was used before for another request; `field` names the first difference."""

    code = "idempotency_conflict"
    category = Category.CONFLICT


@transaction.atomic(durable=True)
def once(
    party_id: int,
    key: str,
    operation: str,
    content: Mapping[str, Any],
    act: Callable[[], dict[str, Any]],
    *,
    now: datetime,
) -> dict[str, Any]:
    """Run `act` and keep its answer, in one transaction; a repeat returns the kept answer. `content` is JSON-safe."""
    with connection.cursor() as cursor:  # two identical requests at once: the second waits, then finds the first
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [party_id % 2**31, key])
    first = IdempotentRequest.objects.filter(party_id=party_id, key=key).first()
    if first is None:
        answer = act()
        IdempotentRequest.objects.create(
            party_id=party_id, key=key, operation=operation, content=dict(content), answer=answer, at=now
        )
        return answer
    if first.operation != operation:
        raise _conflict("operation")
    for field in sorted(first.content.keys() | content.keys()):
        if first.content.get(field) != content.get(field):
            raise _conflict(field)
    kept: dict[str, Any] = first.answer
    return kept


def _conflict(field: str) -> IdempotencyConflict:
    return IdempotencyConflict(
        f"This Idempotency-Key was used before with another {field}. Use a new key for a new request.", field=field
    )
