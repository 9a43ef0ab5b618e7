from __future__ import annotations

import base64
import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.jwk import KeySet
from jwcrypto.jwk import JWK
from jwcrypto.jws import JWS

from settlement.errors import InvalidStatement
from settlement.statements.canonical import canonical_bytes
from settlement.statements.signing import ALGORITHM, TYPE, key_id
from tests.unit.settlement.first_form import Annex, core_digest, statement_payload
from tests.unit.settlement.sample_statements import (
    AUDITOR,
    EXCHANGE,
    ISSUED_AT,
    KEYS,
    LINES,
    core,
    second_core,
    signed,
)
from tests.unit.settlement.worked_examples import ACCOUNTS


def b64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_core_says_everything_in_strings_without_null() -> None:
    content = core()
    assert content["statement_id"] == "buyer-a/CNY/initial-2026-12-01"
    assert content["lines"][0] == {
        "number": 1,
        "contract": ACCOUNTS.contract,
        "window": {"start": "2026-12-01T14:00:00Z", "end": "2026-12-01T15:00:00Z"},
        "kind": "delivered",
        "counterparty": "provider-p",
        "tokens": "80000",
        "price": "4.200000",
        "value": "0.336000",
        "amount": "0.000000",
        "tax": {"category": "S", "rate_ppm": 60_000},
        "journal": {
            "source": "settlement",
            "reference": f"initial-2026-12-01/{ACCOUNTS.contract}/buyer-a/provider-p/pay_provider",
        },
    }
    assert content["totals"]["amount"] == "0.056700"
    assert content["balances"]["available"] == "0.535860"
    assert content["notice"] == "This is a statement, not an invoice."
    assert content["metering"][0]["settled_millitokens"] == "80000000"
    assert "previous_digest" not in content
    assert b"null" not in canonical_bytes(content)


def test_the_core_does_not_depend_on_when_it_is_issued() -> None:
    early, late = Annex(ISSUED_AT), Annex(ISSUED_AT + timedelta(days=1), checkpoint="log/1", key_set="https://x/jwks")
    payloads = [statement_payload(core(), annex) for annex in (early, late)]
    assert payloads[0]["core_digest"] == payloads[1]["core_digest"]
    assert canonical_bytes(payloads[0]["core"]) == canonical_bytes(payloads[1]["core"])
    assert payloads[0] != payloads[1]


def test_a_chain_names_the_core_before_it() -> None:
    assert second_core(core())["previous_digest"] == core_digest(core()).hex()


def test_content_without_a_canonical_form_is_refused() -> None:
    for content in (2**53, {"a": float("nan")}, "\ud800"):
        with pytest.raises(InvalidStatement):
            canonical_bytes(content)


def envelope_of(statement: bytes) -> dict[str, Any]:
    envelope: dict[str, Any] = json.loads(statement)
    return envelope


def test_the_protected_header_names_algorithm_type_key_and_time() -> None:
    header = json.loads(b64url(envelope_of(signed(core()))["signatures"][0]["protected"]))
    assert header == {"alg": "Ed25519", "typ": TYPE, "kid": EXCHANGE.kid, "iat": int(ISSUED_AT.timestamp())}
    assert EXCHANGE.kid == key_id(EXCHANGE.public_key)


def test_the_same_statement_signed_again_is_the_same_file() -> None:
    assert signed(core()) == signed(core())


def test_joserfc_and_jwcrypto_accept_both_signatures() -> None:
    statement = AUDITOR.add_signature(signed(core()), signed_at=ISSUED_AT, header={"opinion": "agreed"})
    registry = jws.JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)
    registry.max_payload_length = len(statement)
    envelope = envelope_of(statement)
    checked = jws.deserialize_json(
        {"payload": envelope["payload"], "signatures": envelope["signatures"]},
        KeySet.import_key_set(json.loads(KEYS)),
        registry=registry,
    )
    assert json.loads(checked.payload or b"")["core"] == core()
    for key in json.loads(KEYS)["keys"]:
        other = JWS()
        other.allowed_algs = [ALGORITHM]
        other.deserialize(statement.decode())
        other.verify(JWK(**{name: key[name] for name in ("kty", "crv", "x")}))
        assert other.is_valid


def test_openssl_alone_accepts_the_signature(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is not installed")
    envelope = envelope_of(signed(core()))
    signature = envelope["signatures"][0]
    (tmp_path / "key.pem").write_bytes(
        EXCHANGE.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "signed").write_text(f"{signature['protected']}.{envelope['payload']}")
    (tmp_path / "signature").write_bytes(b64url(signature["signature"]))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "signed"]
    checked = subprocess.run([*command, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "Verified Successfully" in checked.stdout


@pytest.mark.parametrize(
    "file", [b"", b"\xff", b"[]", b"{}", b'{"payload": 1, "signatures": []}', b"[" * 100_000, b'{"payload":"*"}']
)
def test_a_second_signature_needs_a_statement(file: bytes) -> None:
    with pytest.raises(InvalidStatement):
        AUDITOR.add_signature(file, signed_at=ISSUED_AT)


def test_every_line_says_something() -> None:
    assert all(line.amount_micros or line.value_micros or line.tokens for line in LINES)
