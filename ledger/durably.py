"""Working through lost connections: the same unit of work again, which its references keep from being done twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction

from ledger import journal
from ledger.drafts import TransactionDraft

ATTEMPTS = 5

Result = TypeVar("Result")
log = logging.getLogger(__name__)


def durably(
    act: Callable[[], Result], *, attempts: int = ATTEMPTS, pause: Callable[[int], None] = time.sleep
) -> Result:
    """Run `act` in a database transaction of its own, and again on a new connection when the old one is lost.

    When a connection dies at COMMIT nobody can know whether it was committed, so `act` must be safe to repeat: what it
    posts is, by its references. Waits 1, 2, 3 … seconds in between; the last failure is raised.
    """
    for attempt in range(1, attempts):
        try:
            return _once(act)
        except (OperationalError, InterfaceError) as error:
            log.warning("attempt %d of %d lost its connection: %s", attempt, attempts, error)
            connection.close()
            pause(attempt)
    return _once(act)


def post_durably(
    drafts: Sequence[TransactionDraft],
    *,
    actor: str,
    now: datetime,
    attempts: int = ATTEMPTS,
    pause: Callable[[int], None] = time.sleep,
) -> tuple[journal.Posted, ...]:
    """Post drafts in a database transaction of their own, exactly once whatever happens to the connection.

    A draft whose first try was committed unseen comes back as `repeated`. Raises what `journal.post` raises.
    """
    return durably(lambda: journal.post(drafts, actor=actor, now=now), attempts=attempts, pause=pause)


def _once(act: Callable[[], Result]) -> Result:
    with transaction.atomic(durable=True):
        return act()
