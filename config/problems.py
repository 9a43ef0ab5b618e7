"""The closed list of everything that can be refused, made from the refusals themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from config.api_errors import PROTOCOL_PROBLEMS, status_of, title_of
from ledger.api.base import PublicView
from ledger.errors import DomainError, NotFound

# A refusal is known once its module is imported.
for _module in (
    "ledger.idempotency",
    "ledger.api.errors",
    "ledger.audit.errors",
    "ledger.keys.errors",
    "ledger.log.errors",
    "exchange.errors",
    "settlement.errors",
):
    import_module(_module)

OWN_PACKAGES = frozenset({"ledger", "exchange", "settlement"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of refusal. `category` is `protocol` for what HTTP itself refuses."""

    code: str
    title: str
    status: int
    category: str
    meaning: str

    @property
    def type(self) -> str:
        return f"/problems/{self.code}"


class ProblemSerializer(serializers.Serializer[Problem]):
    """A kind of refusal."""

    type = serializers.CharField()
    code = serializers.CharField(help_text="Stable: a code is never given another meaning.")
    title = serializers.CharField()
    status = serializers.IntegerField(help_text="The HTTP status.")
    category = serializers.CharField()
    meaning = serializers.CharField()


class ProblemsSerializer(serializers.Serializer[Any]):
    """Every kind of refusal, by code."""

    items = ProblemSerializer(many=True)


def list_problems() -> list[Problem]:
    """Every refusal of the product, by code."""
    refusals = [
        Problem(kind.code, title_of(kind.code), status_of(kind), str(kind.category), _meaning(kind))
        for kind in _refusals(DomainError)
    ]
    protocol = [
        Problem(code, title_of(code), status, "protocol", meaning)
        for code, (status, meaning) in PROTOCOL_PROBLEMS.items()
    ]
    return sorted(refusals + protocol, key=lambda found: found.code)


def get_problem(code: str) -> Problem:
    """One kind of refusal. Raises `NotFound`."""
    for found in list_problems():
        if found.code == code:
            return found
    raise NotFound(f"There is no problem {code!r}.", problem=code)


class ProblemsView(PublicView):
    """The catalogue of refusals."""

    @extend_schema(tags=["problems"], operation_id="list_problems", responses=ProblemsSerializer, auth=[])
    def get(self, request: Request) -> Response:
        """Every code that an answer can carry, with its status and meaning."""
        return Response(ProblemsSerializer({"items": list_problems()}).data)


class ProblemView(PublicView):
    """One refusal; a problem's `type` leads here."""

    @extend_schema(tags=["problems"], operation_id="get_problem", responses=ProblemSerializer, auth=[])
    def get(self, request: Request, code: str) -> Response:
        """What a code means."""
        return Response(ProblemSerializer(get_problem(code)).data)


def _refusals(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    """The leaves below a class, in our own packages."""
    for below in kind.__subclasses__():
        if below.__module__.partition(".")[0] in OWN_PACKAGES and "code" in vars(below):
            yield below
        yield from _refusals(below)


def _meaning(kind: type[DomainError]) -> str:
    return " ".join((kind.__doc__ or "").split())
