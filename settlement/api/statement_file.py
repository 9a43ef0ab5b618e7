"""A statement's file as the interface hands it out: the very bytes that were signed, and what they say."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

FILE_TYPE = "application/jose+json"


def signed_payload(jws: str) -> dict[str, Any]:
    """The payload of a statement file. Verifies nothing."""
    payload: str = json.loads(jws)["payload"]
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return value


class StatementFileRenderer(JSONRenderer):
    """The file byte for byte. A problem, which has no file, as JSON."""

    media_type = FILE_TYPE
    format = "jose"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if isinstance(data, bytes):
            return data
        rendered: bytes = super().render(data, accepted_media_type, renderer_context)
        return rendered


class OnlyForm(BaseContentNegotiation):
    """There is one form of a file, whatever the caller says it accepts."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        return next(iter(parsers), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type
