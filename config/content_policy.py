"""What a page may load: nothing from outside, ever.

Our own pages need no inline script or style. The admin's Alpine evaluates the expressions in its templates, and it
sets styles inline, so its pages may do that and no more. A view that sets a policy itself keeps it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_COMMON = "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
PAGES_POLICY = f"{_COMMON}; img-src 'self' data:"
ADMIN_POLICY = f"{_COMMON}; img-src 'self' data:; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"
ADMIN_PREFIX = "/admin/"


class ContentPolicyMiddleware:
    """Puts a Content-Security-Policy on every answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        policy = ADMIN_POLICY if request.path.startswith(ADMIN_PREFIX) else PAGES_POLICY
        response.headers.setdefault("Content-Security-Policy", policy)
        return response
