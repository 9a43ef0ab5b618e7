"""What a key opens is kept by no cache; what is open to all is kept as its view says."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver

from config.urls import api_v1
from ledger.api.base import PartyView, PublicView
from tests.api.client import Answer, Api

PRIVATE = "private, no-store"
VALUES = {"int": "1", "key_prefix": "abc", "period": "2026-12", "uuid": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}


def routes(found: list[URLPattern | URLResolver]) -> list[tuple[str, type[Any]]]:
    """Every address below `/api/v1/` with its view, its parameters filled in."""
    flat: list[tuple[str, type[Any]]] = []
    for entry in found:
        if isinstance(entry, URLResolver):
            flat += routes(entry.url_patterns)
        else:
            values = {
                name: VALUES.get(type(converter).__name__.lower().removesuffix("converter"), "1")
                for name, converter in entry.pattern.converters.items()
            }
            path = str(entry.pattern)
            for part in path.split("<")[1:]:
                inside = part.split(">")[0]
                path = path.replace(f"<{inside}>", values[inside.split(":")[-1]])
            flat.append((path, entry.callback.view_class))  # type: ignore[attr-defined]
    return flat


def kept(answer: Answer) -> str:
    return answer.headers.get("Cache-Control", "")


def test_no_cache_keeps_what_a_key_opens_nor_the_refusal_of_it(lone: Api) -> None:
    private = [path for path, view in routes(api_v1) if issubclass(view, PartyView)]
    assert {"balances", "keys", "ledger/transactions", "orders", "statements"} <= set(private)
    statuses = set()
    for path in private:
        for api in (lone, Api()):
            answer = api.get(path)
            assert kept(answer) == PRIVATE, (path, answer.status)
            statuses.add(answer.status)
    assert {200, 401, 403, 404} <= statuses


def test_what_a_view_says_of_its_answer_stands(lone: Api) -> None:
    issued = lone.post("keys", {"label": "bot", "scopes": ["read"]}, idempotency_key="k")
    assert (issued.status, kept(issued)) == (201, "no-store")
    public = [path for path, view in routes(api_v1) if issubclass(view, PublicView)]
    assert {"time", "ledger/checkpoints"} <= set(public)
    for path in public:
        assert kept(lone.get(path)) != PRIVATE, path
    assert "public" in kept(lone.get("/.well-known/jwks.json"))
