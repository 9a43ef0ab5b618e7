"""Who calls: an API key in `Authorization: Bearer tb_…`. Browser sessions do not count here, so neither does CSRF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from ledger.errors import NotAuthenticated
from ledger.models import ApiKey, Party
from ledger.parties.keys import Scope, authenticate, scopes_of

CHALLENGE = 'Bearer realm="tokenbourse"'


@dataclass(frozen=True, slots=True)
class Caller:
    """The party behind a request, what its key is good for, and the actor name recorded with what it does."""

    key: ApiKey
    is_authenticated: ClassVar[bool] = True

    @property
    def party(self) -> Party:
        return self.key.party

    @property
    def party_id(self) -> int:
        return self.key.party_id

    @property
    def actor(self) -> str:
        return f"key:{self.key.prefix}"

    @property
    def scopes(self) -> frozenset[Scope]:
        return scopes_of(self.key)

    @property
    def reads_everything(self) -> bool:
        return Scope.AUDIT in self.scopes

    @property
    def readable_parties(self) -> list[int] | None:
        """Whose books and statements the caller may see: its own party's; None, which means all, for an auditor."""
        return None if self.reads_everything else [self.party_id]


class ApiKeyAuthentication(BaseAuthentication):
    """Takes the bearer key of a request; `request.user` becomes the `Caller`."""

    def authenticate(self, request: Request) -> tuple[Caller, ApiKey] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer":
            raise NotAuthenticated("Send the API key as 'Authorization: Bearer tb_…'.")
        key = authenticate(text.strip())
        return Caller(key), key

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def caller_of(request: Request) -> Caller:
    """The authenticated caller. Raises `NotAuthenticated` when no key was sent."""
    caller: object = request.user
    if not isinstance(caller, Caller):
        raise NotAuthenticated("Send an API key as 'Authorization: Bearer tb_…'.")
    return caller
