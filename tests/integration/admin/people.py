"""People with logins, and what they may open."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse
from django.test import Client

from ledger.models import MembershipRole, Party, User
from ledger.parties.commands import add_member
from tests.integration.settlement.trading_day import ACTOR, NOW

PASSWORD = "long enough for tests"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser without JavaScript, logged in as somebody or nobody."""

    client: Client
    user: User | None = None

    def get(self, path: str) -> HttpResponse:
        return self.client.get(path)  # type: ignore[return-value]

    def post(self, path: str, **data: object) -> HttpResponse:
        return self.client.post(path, data)  # type: ignore[return-value]

    def text(self, path: str) -> str:
        """A page that must be there."""
        response = self.get(path)
        assert response.status_code == 200, (path, response.status_code)
        return response.content.decode()


def anybody() -> Visitor:
    return Visitor(Client(SERVER_NAME="localhost"))


def login(username: str, party: Party, role: MembershipRole) -> Visitor:
    """Somebody new who acts for a party."""
    user = add_member(username, PASSWORD, party, role, actor=ACTOR, now=NOW)
    return as_user(user)


def as_user(user: User) -> Visitor:
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    return Visitor(client, user)
