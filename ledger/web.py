"""What every page of the web site needs: who asks, who may, rendering, and paging through append-only tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate
from weakref import WeakKeyDictionary

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from ledger.clock import get_clock
from ledger.models import User
from ledger.parties.access import Access, get_access

PAGE_ROWS = 50

NOBODY = Access(
    actor="anonymous", is_operator=False, is_auditor=False, provider_ids=frozenset(), buyer_ids=frozenset()
)

# A request asks for its access dozens of times while a page is drawn; memberships are read once.
_access_of_requests: WeakKeyDictionary[HttpRequest, Access] = WeakKeyDictionary()


def access_of(request: HttpRequest) -> Access:
    """What the person behind a request may see and do; nothing for someone who is not logged in."""
    access = _access_of_requests.get(request)
    if access is None:
        user = request.user
        access = get_access(user) if isinstance(user, User) and user.is_active else NOBODY
        _access_of_requests[request] = access
    return access


def page_for[**P](
    may_see: Callable[[Access], bool],
) -> Callable[
    [Callable[Concatenate[HttpRequest, P], HttpResponse]], Callable[Concatenate[HttpRequest, P], HttpResponse]
]: ...
