"""Signing keys in a PKCS#11 token, with SoftHSM in its place."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from ledger.errors import NotFound
from ledger.keys import pkcs11_token
from ledger.keys.errors import SigningTokenUnavailable
from ledger.keys.ring import current_signer, current_signing_key, public_jwks
from ledger.keys.rotation import prepare_next_key, rotate
from ledger.log.checkpoints import latest_checkpoint, publish_checkpoint
from ledger.models import SigningKey
from ledger.models.keys import KeyCustody
from ledger.verify import parse_jwks
from ledger.verify import verify as verify_evidence
from settlement.models import Statement
from settlement.statements.jws import records_file, statement_file
from settlement.statements.verify import verify
from tests.integration.settlement.trading_day import TradingDay, requests

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
)
LABEL, PIN = "tokenbourse tests", "5678"


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The library of a token that was just made."""
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    tool = shutil.which("softhsm2-util")
    if library is None or tool is None or importlib.util.find_spec("pkcs11") is None:
        pytest.skip("SoftHSM 2 (softhsm2-util) and the package python-pkcs11 are not both installed: no PKCS#11 test")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    monkeypatch.setattr(pkcs11_token, "_sessions", pkcs11_token._Sessions())  # another test's token is not this one
    make = [tool, "--init-token", "--free", "--label", LABEL, "--so-pin", "1234", "--pin", PIN]
    subprocess.run(make, check=True, capture_output=True)
    with override_settings(PKCS11_MODULE=library, PKCS11_TOKEN=LABEL, PKCS11_PIN=PIN):
        yield library


def test_statements_and_checkpoints_signed_in_a_token_verify(day: TradingDay, token: str) -> None:
    prepare_next_key(actor="olga", now=day.clock.at)
    current = rotate(actor="olga", now=day.clock.at).current
    assert (current.custody, bytes(current.private_key_encrypted)) == (KeyCustody.PKCS11, b"")
    assert current_signer().kid == current.kid
    with pytest.raises(NotFound):
        current_signing_key()
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(80_000))
    run = day.settle()
    jwks = json.dumps(public_jwks()).encode()
    statements = Statement.objects.filter(run=run)
    assert statements.exists()
    for statement in statements:
        report = verify(statement_file(statement), jwks, records=b"".join(records_file(statement)))
        assert report.ok, report.text()
        assert report.signers == [current.kid]
    publish_checkpoint(now=day.clock.at)
    checkpoint = latest_checkpoint()
    assert checkpoint is not None
    assert verify_evidence(checkpoint.note.encode(), parse_jwks(jwks)).ok


def test_keys_of_both_kinds_follow_each_other(day: TradingDay, token: str) -> None:
    prepare_next_key(actor="olga", now=day.clock.at)
    rotate(actor="olga", now=day.clock.at)
    later = day.clock.at + timedelta(days=1)
    with override_settings(PKCS11_MODULE=""):
        prepare_next_key(actor="olga", now=later)
        assert rotate(actor="olga", now=later).current.custody == KeyCustody.DATABASE
        assert current_signer().kid == current_signing_key()[0]
    custody = SigningKey.objects.order_by("valid_from", "state").values_list("custody", flat=True)
    assert sorted(custody) == ["database", "database", "pkcs11"]


def test_a_token_that_does_not_answer_is_named(day: TradingDay, token: str, tmp_path: Path) -> None:
    prepare_next_key(actor="olga", now=day.clock.at)
    rotate(actor="olga", now=day.clock.at)
    signer = current_signer()
    with override_settings(PKCS11_MODULE=str(tmp_path / "absent.so")), pytest.raises(SigningTokenUnavailable):
        signer.sign(b"message")
    assert len(signer.sign(b"message")) == 64
