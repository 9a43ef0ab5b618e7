"""What every page of the web site needs: who asks, who may see it, rendering, and paging through append-only tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from ledger.clock import get_clock
from ledger.models import User
from ledger.parties.access import Access, get_access

PAGE_ROWS = 50

NOBODY = Access(actor="anonymous", is_operator=False, is_auditor=False, provider_ids=frozenset(), buyer_ids=frozenset())

# A page asks for the access of its request dozens of times; memberships are read once.
_access_of_requests: WeakKeyDictionary[HttpRequest, Access] = WeakKeyDictionary()

P = ParamSpec("P")
RowT = TypeVar("RowT", bound=Model)
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def access_of(request: HttpRequest) -> Access:
    """What the person behind a request may see and do; nothing for someone who is not logged in."""
    access = _access_of_requests.get(request)
    if access is None:
        user = request.user
        access = get_access(user) if isinstance(user, User) and user.is_active else NOBODY
        _access_of_requests[request] = access
    return access


def only_for(may_see: Callable[[Access], bool]) -> Callable[[View[P]], View[P]]:
    """Guard a page: people who are not logged in are asked to, others who may not see it get 403."""

    def guard(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            if not may_see(access_of(request)):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    return guard


def reads_everything(access: Access) -> bool:
    """Operators and auditors."""
    return access.reads_everything


def belongs_to_a_party(access: Access) -> bool:
    """Anyone who has a membership at all."""
    return access.reads_everything or bool(access.party_ids)


def render_page(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """A page with what its frame needs: the caller's access, and the time that every countdown starts from."""
    return render(request, template, {"access": access_of(request), "now": get_clock().now(), **context})


@dataclass(frozen=True, slots=True)
class NewestFirst(Generic[RowT]):
    """A stretch of an append-only table, newest first. `older` continues it, None at the end."""

    rows: Sequence[RowT]
    older: int | None
    from_top: bool


def newest_first(request: HttpRequest, rows: QuerySet[RowT], field: str, *, size: int = PAGE_ROWS) -> NewestFirst[RowT]:
    """The rows below `?before=`, by a unique integer field: constant work however long the table grows."""
    before = request.GET.get("before", "")
    at_number = before.isascii() and before.isdigit() and len(before) < 19
    if at_number:
        rows = rows.filter(**{f"{field}__lt": int(before)})
    found = list(rows.order_by(f"-{field}")[: size + 1])
    shown = found[:size]
    return NewestFirst(shown, getattr(shown[-1], field) if len(found) > size else None, not at_number)
