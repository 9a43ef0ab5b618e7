"""Problem bodies and their catalogue."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from config import urls
from config.api_errors import PROTOCOL_PROBLEMS, STATUS_OF_CATEGORY, problem_response
from config.environment import CHECKOUT
from config.problems import list_problems
from ledger.api.base import PublicView
from ledger.errors import Category, DomainError
from tests.api.client import Api

PACKAGES = ("ledger", "exchange", "settlement")


def codes_in(source: str) -> set[str]:
    """The `code = "…"` of every class that a source file derives, directly or not, from a refusal."""
    return {
        statement.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and node.bases
        for statement in node.body
        if isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and statement.targets[0].id == "code"
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    }


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((CHECKOUT / package).rglob("*.py"))]


def test_the_catalogue_is_complete_and_each_code_stands_once() -> None:
    listed = [problem.code for problem in list_problems()]
    assert len(listed) == len(set(listed))
    written = set().union(*(codes_in(path.read_text()) for path in sources())) - {DomainError.code}
    assert set(listed) == written | set(PROTOCOL_PROBLEMS)


def test_the_code_finder_bites() -> None:
    assert codes_in('class A(DomainError):\n    """A."""\n\n    code = "a_code"\n\nclass B:\n    code = "b"') == {
        "a_code"
    }


def test_every_problem_has_a_meaning_and_a_status() -> None:
    for problem in list_problems():
        assert re.fullmatch(r"[a-z][a-z0-9_]+", problem.code)
        assert problem.meaning.endswith(".")
        assert 400 <= problem.status < 600
    assert set(STATUS_OF_CATEGORY) == set(Category)


def test_the_catalogue_is_served_and_each_type_leads_to_its_entry() -> None:
    items = Api().get("problems").ok()["items"]
    assert [item["code"] for item in items] == [problem.code for problem in list_problems()]
    for item in items:
        assert Api().get(item["type"]).ok() == item
    Api().get("/problems/no_such_code").problem(404, "not_found")


def test_an_unknown_address_is_a_problem_below_the_interface_alone() -> None:
    for address in ("/api/v1/nothing", "/api/v2/orders", "/api/v1/problems/", "/.well-known/nothing"):
        Api().get(address).problem(404, "route_not_found")
    page = Api().get("/nothing")
    assert page.status == 404
    assert "html" in page.headers["Content-Type"]


def test_a_foreign_host_is_refused() -> None:
    Api().get("time", host="example.com").problem(400, "bad_request")


def test_wrong_method_and_media_types() -> None:
    answer = Api().post("time", {})
    answer.problem(405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]
    Api().get("time", accept="application/xml").problem(406, "not_acceptable")
    Api().get("time", accept="application/json, application/problem+json").ok()
    options = Api().call("OPTIONS", "time").ok()
    assert options == {"methods": ["GET", "HEAD", "OPTIONS"], "reads": ["application/json"]}
    head = Api().call("HEAD", "time")
    assert (head.status, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (exceptions.Throttled(wait=7), 429, "throttled"),
        (exceptions.ParseError(), 400, "invalid_request"),
        (exceptions.PermissionDenied(), 403, "not_allowed"),
        (exceptions.NotAuthenticated(), 401, "not_authenticated"),
        (RequestDataTooBig(), 413, "body_too_large"),
        (OperationalError("server at 10.0.0.1 closed the connection"), 503, "unavailable"),
    ],
)
def test_what_libraries_raise_becomes_the_same_kind_of_body(raised: Exception, status: int, code: str) -> None:
    response = problem_response(raised, {"request": RequestFactory().get("/api/v1/x")})
    assert response is not None
    assert (response.status_code, response.data["code"]) == (status, code)
    assert "10.0.0.1" not in str(response.data)
    assert (status in (429, 503)) == ("Retry-After" in response.headers)


def test_nested_field_errors_name_their_path() -> None:
    raised = exceptions.ValidationError({"items": [{}, {"lots": ["Wrong."]}], "non_field_errors": ["Both."]})
    response = problem_response(raised, {})
    assert response is not None
    assert response.data["errors"] == [
        {"field": "items.lots", "detail": "Wrong."},
        {"field": "", "detail": "Both."},
    ]


class Broken(PublicView):
    """A view with a fault, and one that names its figures like members of the body."""

    def get(self, request: Request) -> Response:
        raise RuntimeError("secret detail")

    def delete(self, request: Request) -> Response:
        raise DomainError("Told.", status="trading", type="x", figure="7")


urlpatterns = [*urls.urlpatterns, path("api/v1/broken", Broken.as_view())]
handler400, handler404, handler500 = urls.handler400, urls.handler404, urls.handler500


@override_settings(ROOT_URLCONF=__name__)
def test_a_fault_of_ours_tells_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    answer = Api().get("broken")
    answer.problem(500, "internal_error")
    assert b"secret" not in answer.content
    assert "secret detail" in caplog.text
    with pytest.raises(RuntimeError):
        Api(client=Client(headers={"host": "localhost"})).get("broken")


@override_settings(ROOT_URLCONF=__name__)
def test_figures_stand_beside_the_members_and_never_replace_them() -> None:
    problem = Api().delete("broken").problem(400, "error")
    assert problem["figure"] == "7"
