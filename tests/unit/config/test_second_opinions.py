"""What tools of others say of statements and balances, good ones and spoilt ones."""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.demo import second_opinions
from config.demo.second_opinions import HLEDGER, JWCRYPTO, OPENSSL, Closing, ask_others
from tests.accounting import needs_hledger

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
JOURNAL = """\
2026-12-01 deposit
    assets:cash:ada:USD       5.250000 USD
    equity:external:house:USD
"""


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwks() -> bytes:
    public = KEY.public_key().public_bytes_raw()
    return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": b64url(public)}]}).encode()


def statement(content: bytes = b"{}", *, spoilt: bool = False) -> bytes:
    protected = b64url(b'{"alg":"Ed25519","kid":"k1"}')
    signature = KEY.sign(f"{protected}.{b64url(content)}".encode())
    if spoilt:
        content += b" "
    signed = {"protected": protected, "signature": b64url(signature)}
    return json.dumps({"payload": b64url(content), "signatures": [signed]}).encode()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "closing.journal"
    path.write_text(JOURNAL)
    return path


def closing(amount: str) -> Closing:
    return Closing("assets:cash:ada:USD", "USD", Decimal(amount))


def test_each_tool_accepts_what_is_signed_and_nothing_else(journal: Path) -> None:
    found = ask_others([statement(), statement(b'{"a":1}'), statement(spoilt=True)], jwks(), journal, [])
    expected = {
        OPENSSL: None if shutil.which(OPENSSL) is None else 2,
        JWCRYPTO: None if importlib.util.find_spec(JWCRYPTO) is None else 2,
    }
    assert {OPENSSL: found.openssl, JWCRYPTO: found.jwcrypto} == expected


@needs_hledger
@pytest.mark.parametrize(("amount", "differences"), [("5.25", 0), ("5.250001", 1)])
def test_hledger_adds_up_by_itself(journal: Path, amount: str, differences: int) -> None:
    found = ask_others([], jwks(), journal, [closing(amount)])
    assert (found.hledger_accounts, found.hledger_differences) == (1, differences)


@needs_hledger
def test_a_journal_that_hledger_refuses_agrees_with_nothing(journal: Path) -> None:
    journal.write_text("2026-12-01 half\n    assets:cash:ada:USD  5.25 USD\n")
    assert ask_others([], jwks(), journal, [closing("5.25")]).hledger_differences == 1


def test_a_tool_that_is_not_installed_says_nothing(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(name: str, *_: Any) -> None:
        return None

    monkeypatch.setattr(shutil, "which", nowhere)
    monkeypatch.setattr(second_opinions, "find_spec", nowhere)
    found = ask_others([statement()], jwks(), journal, [closing("1")])
    assert found.absent == (OPENSSL, JWCRYPTO, HLEDGER)
    assert (found.openssl, found.jwcrypto, found.hledger_accounts, found.hledger_differences) == (None,) * 4
