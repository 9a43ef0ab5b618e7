"""The query parameters that ask for figures of the past."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from ledger.api.errors import InvalidRequest
from ledger.api.filters import InstantField
from ledger.money import MAX_AMOUNT, parse_count
from ledger.selectors.history import Point, find_point

AS_OF = (
    OpenApiParameter(
        "as_of_transaction",
        OpenApiTypes.INT64,
        description="The figures after this transaction of the journal; 0 is before the first.",
    ),
    OpenApiParameter(
        "as_of",
        OpenApiTypes.DATETIME,
        description="The figures after all that was posted at or before this instant. Not with `as_of_transaction`. "
        "`as_of_transaction` of the answer says which transaction was the last.",
    ),
    OpenApiParameter(
        "as_of_effective",
        OpenApiTypes.DATETIME,
        description="Count only what takes effect at or before this instant, also if it was posted later; with one of "
        "the others, as far as it was known then. Slower: every entry of an account is read.",
    ),
)
AS_OF_NAMES = tuple(parameter.name for parameter in AS_OF)


def asked_point(request: Request) -> Point | None:
    """The point of the past that a request names, or None. Raises `InvalidRequest`, `InvalidAmount` and `NotFound`."""
    transaction = request.query_params.get("as_of_transaction")
    posted_by, effective_at = _instant(request, "as_of"), _instant(request, "as_of_effective")
    if transaction is not None and posted_by is not None:
        raise _invalid("as_of", "Send as_of or as_of_transaction, not both.")
    return find_point(
        transaction=None
        if transaction is None
        else parse_count(transaction, field="as_of_transaction", maximum=MAX_AMOUNT),
        posted_by=posted_by,
        effective_at=effective_at,
    )


def _instant(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        instant: datetime | None = InstantField(required=True).clean(text)
    except ValidationError as error:
        raise _invalid(name, " ".join(error.messages)) from None
    return instant


def _invalid(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(f"The request is not valid: {field}.", errors=[{"field": field, "detail": detail}])
