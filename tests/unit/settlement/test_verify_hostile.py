from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from settlement.statements import verify as verifier
from settlement.statements.canonical import canonical_bytes, canonical_digest
from settlement.statements.verify import Report
from tests.unit.settlement.sample_statements import (
    EXCHANGE,
    EXCHANGE_KEY,
    ISSUED_AT,
    KEYS,
    core,
    second_core,
    signed,
)

verify = partial(verifier.verify, first_form=True)


def failure(report: Report) -> str:
    assert not report.ok
    return f"{report.checks[-1].name}: {report.checks[-1].detail}"


def jws_of(payload: bytes) -> bytes:
    """Raw payload bytes under a good signature."""
    header = {"alg": "Ed25519", "kid": EXCHANGE.kid, "typ": "tokenbourse-statement+jws", "iat": 1_800_000_000}
    protected, body = (
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (canonical_bytes(header), payload)
    )
    signature = EXCHANGE_KEY.sign(f"{protected}.{body}".encode())
    encoded = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    return canonical_bytes({"payload": body, "signatures": [{"protected": protected, "signature": encoded}]})


@pytest.mark.parametrize(
    ("payload", "fault"),
    [
        (b'{"a":1,"a":1}', "repeats a member name"),
        (b'{"a": 1}', "not in the canonical form"),
        (b'{"b":1,"a":1}', "not in the canonical form"),
        (b'{"a":1.5}', "not a whole number"),
        (b'{"a":NaN}', "not a whole number"),
        (b'{"a":9007199254740992}', "beyond 2^53"),
        (b'{"a":' + b"9" * 10_000 + b"}", "not JSON"),
        (b'{"a":"\\ud800"}', "half a character"),
        (b'{"\\ud800":1}', "half a character"),
        (b"\xff", "not UTF-8"),
        (b"", "not JSON"),
        (b"[]", "not an object"),
        (b'{"a":' + b"[" * 13 + b"]" * 13 + b"}", "nested deeper"),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
    ],
)
def test_hostile_payloads_get_a_clear_answer(payload: bytes, fault: str) -> None:
    assert fault in failure(verify(jws_of(payload), KEYS))


@pytest.mark.parametrize(
    "statement",
    [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 200_000, b'{"payload":{},"signatures":[]}', b'{"a":1e999}'],
)
def test_hostile_files_get_a_clear_answer(statement: bytes) -> None:
    assert failure(verify(statement, KEYS))
    assert failure(verify(signed(core()), statement)).startswith("key set")
    assert "the previous statement" in failure(verify(signed(second_core(core())), KEYS, statement))


def test_too_many_signatures_are_refused_before_they_are_checked() -> None:
    envelope = json.loads(signed(core()))
    envelope["signatures"] = [{}] * 2_000_000
    assert "1 to 8 signatures" in failure(verify(json.dumps(envelope).encode(), KEYS))


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    # Members sort by UTF-16 code units: the smiling face before the Hebrew letter's presentation form.
    value = {"\u20ac": '\r\n\t\u0001"\\/\u007f', "\U0001f600": ["ö", 0, -1], "\ufb33": {}, "1": []}
    payload = {"schema": "tokenbourse-statement/1", "core": value, "core_digest": "", "annex": {}}
    assert "core_digest" in failure(verify(EXCHANGE.sign(payload, signed_at=ISSUED_AT), KEYS))


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The path to every value inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (key,)
        yield from ((key, *path) for path in places(inner))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = by
    return changed


@pytest.mark.parametrize("by", [0, "", "1", [], {}, [[]], [{}]])
def test_any_part_of_another_kind_under_a_good_signature_never_crashes_the_verifier(by: Any) -> None:
    previous = signed(core())
    content = second_core(core()) | {"lines": core()["lines"][:1]}
    for path in places(content):
        changed = replaced(content, path, by)
        payload = {
            "schema": "tokenbourse-statement/1",
            "core": changed,
            "core_digest": canonical_digest(changed).hex(),
            "annex": {"issued_at": ""},
        }
        statement = EXCHANGE.sign(payload, signed_at=ISSUED_AT)
        assert verify(statement, KEYS).text()
        assert verify(statement, KEYS, previous).text()
        assert verify(previous, KEYS, statement).text()


@pytest.mark.parametrize("by", [0, "", "AAAA", [], {}, [[]], [{}]])
def test_any_part_of_another_kind_in_envelope_or_key_set_is_refused_or_harmless(by: Any) -> None:
    statement, keys = signed(core()), json.loads(KEYS)
    envelope = json.loads(statement)
    for path in places(envelope):
        assert not verify(canonical_bytes(replaced(envelope, path, by)), KEYS).ok
    for path in places(keys):
        assert verify(statement, canonical_bytes(replaced(keys, path, by))).text()
