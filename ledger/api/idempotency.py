"""The `Idempotency-Key` header of changing requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from ledger.api.authentication import caller_of
from ledger.api.errors import IdempotencyKeyMissing
from ledger.idempotency import once

_KEY = re.compile(r"[\x21-\x7e]{1,120}")

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="1 to 120 visible ASCII characters, new for each new request. The same key with the same content gets "
    "the first answer again, for ever; with other content, 409 `idempotency_conflict`.",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer; `status` is 201 the first time and 200 for a repeat."""

    content: dict[str, Any]
    status: int


def answer_once(
    request: Request, operation: str, content: Mapping[str, Any], act: Callable[[], dict[str, Any]], *, now: datetime
) -> Answer:
    """Run `act` for a new key, or give the kept answer. Raises `IdempotencyKeyMissing` and `IdempotencyConflict`."""
    key = request.headers.get("Idempotency-Key", "")
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyMissing("Send an Idempotency-Key header of 1 to 120 visible ASCII characters.")
    acted = False

    def act_and_tell() -> dict[str, Any]:
        nonlocal acted
        acted = True
        return act()

    answer = once(caller_of(request).party_id, key, operation, content, act_and_tell, now=now)
    return Answer(answer, 201 if acted else 200)
