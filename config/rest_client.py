"""A party's way to the REST interface, for the demo's and the live market's bots. Knows HTTP, no product rules."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import requests

TIMEOUT_SECONDS = 60
BUSY_STATUS = 503
BUSY_RETRIES = 20
BUSY_WAIT_SECONDS = 0.25


class RestRefused(Exception):
    """The interface refused: its stable `code`, the HTTP status, and the whole problem body."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", "unknown"))
        self.problem = dict(problem)
        super().__init__(f"{status} {self.code}: {problem.get('detail', '')}")


class RestClient:
    """Requests under one API key, over one kept connection. For one thread at a time; close it, or use `with`."""

    def __init__(self, base_url: str, key: str | None = None) -> None:
        self._base_url = base_url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the machine is not meant for the loopback address
        if key is not None:
            self._session.headers["Authorization"] = f"Bearer {key}"

    def get(self, path: str, **params: str) -> Any:
        return self._ask("GET", path, params=params).json()

    def get_bytes(self, path: str) -> bytes:
        """A file as it is served."""
        return bytes(self._ask("GET", path).content)

    def list(self, path: str, **params: str) -> Iterator[Any]:
        """All items of a paged list."""
        cursor: str | None = None
        while True:
            page = self.get(path, **params, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def post(self, path: str, content: Any, *, idempotency_key: str | None = None) -> Any:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self._ask("POST", path, json=content, headers=headers).json()

    def post_bytes(self, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        """Content as it is, for senders that sign it."""
        return self._ask("POST", path, data=body, headers=dict(headers)).json()

    def put(self, path: str, content: Any) -> Any:
        return self._ask("PUT", path, json=content).json()

    def patch(self, path: str, content: Any, *, idempotency_key: str) -> Any:
        return self._ask("PATCH", path, json=content, headers={"Idempotency-Key": idempotency_key}).json()

    def delete(self, path: str, **params: str) -> Any:
        return self._ask("DELETE", path, params=params).json()

    def close(self) -> None:
        self._session.close()

    def __enter__(self) -> RestClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Raises `RestRefused`. Tries again while the interface is busy: every request here may be repeated safely."""
        for attempt in range(BUSY_RETRIES + 1):
            response = self._session.request(method, self._base_url + path, timeout=TIMEOUT_SECONDS, **options)
            if response.status_code != BUSY_STATUS or attempt == BUSY_RETRIES:
                break
            time.sleep(BUSY_WAIT_SECONDS)
        if response.status_code >= 400:
            raise RestRefused(response.status_code, _problem(response))
        return response


def _problem(response: requests.Response) -> Mapping[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    return problem if isinstance(problem, dict) else {"detail": response.text[:200]}
