"""Lists in pages: a page begins after the last row of the one before, whatever was added meanwhile.

The cursor is opaque to callers: the ordering values of the last row.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from ledger.api.errors import InvalidCursor
from ledger.money import parse_count

LIMIT_MAX = 500
CURSOR_LENGTH_MAX = 400


class CursorPage(BasePagination):
    """Keyset paging by `view.page_order`: field names, the last one unique, all ascending or all with a minus."""

    next_cursor: str | None = None

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        if not isinstance(queryset, QuerySet):
            raise TypeError("Pages are cut by the database, from a queryset.")
        order: tuple[str, ...] = getattr(view, "page_order", ("-id",))
        limit = parse_count(
            request.query_params.get("limit", api_settings.PAGE_SIZE), field="limit", minimum=1, maximum=LIMIT_MAX
        )
        cursor = request.query_params.get("cursor")
        if cursor is not None:
            queryset = queryset.filter(_after(queryset.model, order, cursor))
        rows = list(queryset.order_by(*order)[: limit + 1])
        if len(rows) > limit:
            self.next_cursor = _cursor(rows[limit - 1], order)
        return rows[:limit]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"items": data, "next_cursor": self.next_cursor})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["items", "next_cursor"],
            "properties": {
                "items": schema,
                "next_cursor": {
                    "type": "string",
                    "nullable": True,
                    "description": "Give it as `cursor` to get the next page; null on the last one.",
                },
            },
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        limit = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": api_settings.PAGE_SIZE}
        return [
            {"name": "limit", "in": "query", "description": "Rows in a page.", "schema": limit},
            {"name": "cursor", "in": "query", "description": "Where to go on.", "schema": {"type": "string"}},
        ]


def _names(order: Sequence[str]) -> list[str]:
    return [name.removeprefix("-") for name in order]


def _cursor(row: Model, order: Sequence[str]) -> str:
    values = [_text(getattr(row, name)) for name in _names(order)]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _text(value: Any) -> str:
    return str(value.astimezone(UTC) if isinstance(value, datetime) else value)


def _after(model: type[Model], order: Sequence[str], cursor: str) -> Q:
    """(a, b) after (x, y): a after x, or a equal to x and b after y."""
    names, comparison = _names(order), "lt" if order[0].startswith("-") else "gt"
    condition, equal = Q(pk__in=[]), Q()
    for name, value in zip(names, _values(model, names, cursor), strict=True):
        condition |= equal & Q(**{f"{name}__{comparison}": value})
        equal &= Q(**{name: value})
    return condition


def _values(model: type[Model], names: Sequence[str], cursor: str) -> list[Any]:
    try:
        if len(cursor) > CURSOR_LENGTH_MAX:
            raise ValueError(cursor)
        texts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(texts, list) or len(texts) != len(names) or not all(isinstance(text, str) for text in texts):
            raise ValueError(cursor)
        values = [
            model._meta.get_field(name).clean(text, None)  # type: ignore[union-attr]  # never a relation
            for name, text in zip(names, texts, strict=True)
        ]
        if texts != [_text(value) for value in values]:
            raise ValueError(cursor)
    except (ValueError, TypeError, OverflowError, ValidationError, RecursionError):
        raise InvalidCursor("The cursor is not one that this list gave out.", field="cursor") from None
    return values
