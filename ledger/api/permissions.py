"""What a key may do: each view names the scope that each of its methods needs."""

from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from ledger.api.authentication import caller_of
from ledger.errors import NotAllowed


class HasScope(BasePermission):
    """Refuses a caller whose key has none of the scopes in `view.scopes[method]`; HEAD is as GET."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        caller = caller_of(request)
        method = "GET" if request.method == "HEAD" else request.method
        needed: tuple[str, ...] = getattr(view, "scopes", {}).get(method, ())
        if needed and caller.scopes.isdisjoint(needed):
            raise NotAllowed(
                f"This needs a key with the scope {' or '.join(needed)}.",
                required_scopes=list(needed),
                key_scopes=sorted(caller.scopes),
            )
        return True
