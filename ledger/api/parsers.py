"""JSON bodies, read strictly: what two readers could understand differently is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any, ClassVar

from rest_framework.parsers import BaseParser

from ledger.api.errors import BodyTooLarge, DuplicateMember, InvalidNumber, MalformedJson, NestedTooDeep
from ledger.texts import is_storable

BODY_BYTES_MAX = 64 * 1024
DEPTH_MAX = 20


class StrictJSONParser(BaseParser):
    """UTF-8 JSON without repeated members, NaN, Infinity, half characters or NUL, in bounded size and depth.

    A view may set `body_bytes_max`. Numbers with a fraction become `Decimal`, exactly as written; amounts are strings.
    """

    media_type = "application/json"
    checks_text: ClassVar[bool] = True

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit = getattr((parser_context or {}).get("view"), "body_bytes_max", BODY_BYTES_MAX)
        body: bytes = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(f"The body is larger than {limit} bytes.", maximum_bytes=limit)
        value = self._loads(body)
        _check(value, text=self.checks_text)
        return value

    def parse_fraction(self, text: str) -> Any:
        """What a number with a fraction or an exponent becomes."""
        return Decimal(text)

    def _loads(self, body: bytes) -> Any:
        try:
            return json.loads(
                body.decode("utf-8"),
                object_pairs_hook=_unique,
                parse_constant=_refuse_constant,
                parse_float=self.parse_fraction,
                parse_int=_parse_int,
            )
        except UnicodeDecodeError as error:
            raise MalformedJson("The body is not UTF-8.", position=error.start) from None
        except json.JSONDecodeError as error:
            raise MalformedJson(f"The body is not JSON: {error.msg}.", line=error.lineno, column=error.colno) from None
        except RecursionError:
            raise _too_deep() from None


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) == len(members):
        return value
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            raise DuplicateMember("An object names a member twice.", member=_shown(name))
        seen.add(name)
    return value


def _refuse_constant(text: str) -> Any:
    raise InvalidNumber(f"{text} is not a number in JSON.", value=text)


def _parse_int(text: str) -> int:
    # Python would refuse the longest texts with an error of its own, and no field takes more digits than this.
    if len(text) > 100:
        raise InvalidNumber("A number has more than 100 digits.", value=text[:20])
    return int(text)


def _check(value: Any, *, text: bool) -> None:
    """Walk the whole value without recursion: bounded depth, and only text that can be stored and sent again."""
    level = [value]
    for _ in range(DEPTH_MAX):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
                if text:
                    below.extend(item)
            elif isinstance(item, list):
                below.extend(item)
            elif text and isinstance(item, str):
                _check_text(item)
        if not below:
            return
        level = below
    raise _too_deep()


def _check_text(text: str) -> None:
    if not is_storable(text):
        raise MalformedJson("A string holds a NUL or half a character.", value=_shown(text))


def _shown(text: str) -> str:
    """Foreign text, cut and made safe to send back."""
    return text[:80].encode("utf-8", "replace").decode().replace("\0", "?")


def _too_deep() -> NestedTooDeep:
    return NestedTooDeep(f"The body nests deeper than {DEPTH_MAX} levels.", maximum_depth=DEPTH_MAX)
