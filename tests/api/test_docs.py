"""The interface describes itself completely, and its pages load nothing from outside."""

from __future__ import annotations

import io
import re
import warnings
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.urls import URLPattern, URLResolver

from config.docs import CONTENT_POLICY
from config.urls import api_v1
from tests.api.client import Api


class References(HTMLParser):
    """Collects everything a browser would load for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action", "data"}]


@pytest.fixture(scope="module")
def schema() -> Any:
    output = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the validator's own dependencies
        call_command("spectacular", validate=True, fail_on_warn=True, stdout=output)
    return yaml.safe_load(output.getvalue())


def test_the_description_is_complete_and_without_warnings(schema: Any) -> None:
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation["description"], (method, path)
            assert operation["tags"], (method, path)
            assert re.fullmatch(r"[a-z][a-z_]+", operation["operationId"]), operation["operationId"]


def routes(patterns: list[URLPattern | URLResolver]) -> set[str]:
    found: set[str] = set()
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found |= routes(pattern.url_patterns)
        else:
            found.add("/api/v1/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(pattern.pattern)))
    return found


def test_every_route_is_described(schema: Any) -> None:
    outside = {"/problems/{code}", "/.well-known/jwks.json", "/checkpoint", "/checkpoint/{size}"}
    assert routes(api_v1) | outside == set(schema["paths"])


def test_what_changes_something_asks_for_a_key(schema: Any) -> None:
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method != "get":
                assert operation["security"] == [{"ApiKey": []}], (method, path)
                assert "401" in operation["responses"], (method, path)


def test_the_served_description_is_the_same(schema: Any) -> None:
    assert yaml.safe_load(Api().get("/api/schema").content) == schema


def test_swagger_ui_loads_nothing_from_outside() -> None:
    page = Api().get("/api/docs")
    assert page.status == 200
    assert page.headers["Content-Security-Policy"] == CONTENT_POLICY
    assert "http" not in CONTENT_POLICY
    references = References()
    references.feed(page.content.decode())
    assert len(references.found) >= 4
    for reference in references.found:
        parts = urlsplit(reference)
        assert (parts.scheme, parts.netloc) == ("", ""), reference
        if parts.path.startswith("/static/"):
            assert finders.find(parts.path.removeprefix("/static/")), reference
        else:
            script = Api().get(reference)
            assert script.headers["Content-Type"] == "application/javascript"
            assert b'url: "/api/schema"' in script.content
            assert not re.findall(rb"https?://", script.content)


def test_the_style_sheet_loads_nothing_from_outside() -> None:
    found = finders.find("drf_spectacular_sidecar/swagger-ui-dist/swagger-ui.css")
    assert isinstance(found, str)
    with open(found, encoding="utf-8") as file:
        style = file.read()
    loaded = re.findall(r"""url\(\s*["']?([^"')]{1,20})""", style) + re.findall(r"@import\s+(.{1,20})", style)
    assert [address for address in loaded if not address.startswith("data:")] == []
