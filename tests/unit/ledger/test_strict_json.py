"""Bodies are read strictly: one reading or a clear refusal."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.api.errors import BodyTooLarge, DuplicateMember, InvalidNumber, MalformedJson, NestedTooDeep
from ledger.api.parsers import BODY_BYTES_MAX, DEPTH_MAX, StrictJSONParser
from ledger.errors import DomainError


def parse(body: bytes, **view: Any) -> Any:
    return StrictJSONParser().parse(io.BytesIO(body), "application/json", {"view": SimpleNamespace(**view)})


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"", MalformedJson),
        (b"{", MalformedJson),
        (b'{"a": 1,}', MalformedJson),
        (b"{'a': 1}", MalformedJson),
        (b"\xef\xbb\xbf{}", MalformedJson),
        (b'{"a": "\xff"}', MalformedJson),
        (b'{"a": "\x00"}', MalformedJson),
        (b'{"a": "\\u0000"}', MalformedJson),
        (b'{"a": ["\\ud800"]}', MalformedJson),
        (b'{"\\udfff": 1}', MalformedJson),
        (b'{"a": 1} {"b": 2}', MalformedJson),
        (b'{"a": 1, "a": 1}', DuplicateMember),
        (b'{"x": [{"a": 1, "\\u0061": 2}]}', DuplicateMember),
        (b'{"a": NaN}', InvalidNumber),
        (b'{"a": -Infinity}', InvalidNumber),
        (b"1" * 101, InvalidNumber),
        (b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1), NestedTooDeep),
        (b"[" * 20_000 + b"]" * 20_000, NestedTooDeep),
        (b'{"a":' * 1_000 + b"1" + b"}" * 1_000, NestedTooDeep),
        (b'"' + b"x" * BODY_BYTES_MAX + b'"', BodyTooLarge),
    ],
)
def test_refuses_what_readers_could_take_differently(body: bytes, refusal: type[DomainError]) -> None:
    with pytest.raises(refusal):
        parse(body)


def test_a_view_may_set_its_own_size() -> None:
    assert parse(b"[1]", body_bytes_max=3) == [1]
    with pytest.raises(BodyTooLarge):
        parse(b"[12]", body_bytes_max=3)


def test_keeps_numbers_exact() -> None:
    value = parse(b'{"price": 4.210000000000000001, "big": 123456789012345678901234567890}')
    assert value == {"price": Decimal("4.210000000000000001"), "big": 123456789012345678901234567890}


def test_nesting_up_to_the_limit_is_read() -> None:
    deepest = b"[" * (DEPTH_MAX - 1) + b"1" + b"]" * (DEPTH_MAX - 1)
    assert json.dumps(parse(deepest)) == deepest.decode()


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, st.booleans())
def test_reads_every_plain_value_as_it_was_written(value: object, ascii_only: bool) -> None:
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_refusal(body: bytes) -> None:
    refusal: DomainError | None = None
    try:
        parse(body)
    except DomainError as raised:
        refusal = raised
    assert refusal is None or json.dumps(refusal.fields).encode()
