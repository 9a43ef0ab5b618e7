"""The one way into the action log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ledger.models import ActionLog


def record_action(
    *,
    actor: str,
    action: str,
    subject: str,
    now: datetime,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Write down who did what to which subject; in the same database transaction as the act itself."""
    ActionLog.objects.create(
        at=now, actor=actor, action=action, subject=subject, reason=reason, details=dict(details or {})
    )
