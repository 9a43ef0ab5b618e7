"""A caller of the REST interface: Django's test client with an API key and JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.test import Client


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and decoded body of a response."""

    status: int
    headers: Mapping[str, str]
    body: Any
    content: bytes

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """The body, once it is checked to be a complete problem with this status and code."""
        assert (self.status, self.body.get("code")) == (status, code), self.body
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.body["type"] == f"/problems/{code}"
        assert self.body["status"] == status
        assert self.body["title"]
        assert self.body["detail"]
        problem: dict[str, Any] = self.body
        return problem

    def ok(self, status: int = 200) -> Any:
        """The body, once the status is checked."""
        assert self.status == status, self.body
        return self.body


@dataclass(frozen=True, slots=True)
class Api:
    """Calls below `/api/v1/` unless the path begins with a slash."""

    key: str | None = None
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False, headers={"host": "localhost"}))

    def get(self, path: str, /, query: Mapping[str, str] | None = None, **headers: Any) -> Answer:
        return self.call("GET", path, query=query, headers=headers)

    def post(self, path: str, content: object, **headers: str) -> Answer:
        return self.call("POST", path, json.dumps(content).encode(), headers=headers)

    def put(self, path: str, content: object, **headers: str) -> Answer:
        return self.call("PUT", path, json.dumps(content).encode(), headers=headers)

    def patch(self, path: str, content: object, **headers: str) -> Answer:
        return self.call("PATCH", path, json.dumps(content).encode(), headers=headers)

    def delete(self, path: str, query: Mapping[str, str] | None = None, **headers: str) -> Answer:
        return self.call("DELETE", path, query=query, headers=headers)

    def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`headers` are named as in Python: `idempotency_key="k"`."""
        named = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if self.key is not None:
            named.setdefault("authorization", f"Bearer {self.key}")
        response = self.client.generic(
            method,
            path if path.startswith("/") else f"/api/v1/{path}",
            body,
            content_type,
            headers=named,
            query_params=dict(query or {}),
        )
        content = response.getvalue() if response.streaming else response.content
        media_type = response.headers.get("Content-Type", "").partition(";")[0]
        is_json = media_type.endswith(("/json", "+json"))
        decoded = json.loads(content) if is_json and content else None
        return Answer(response.status_code, dict(response.headers), decoded, content)
