from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from settlement.statements.canonical import canonical_bytes
from settlement.statements.sign_opinion import main, sign_opinion
from settlement.statements.verify import verify
from tests.unit.settlement.sample_statements import AUDITOR
from tests.unit.settlement.stated_samples import SIGNED_AT, header_of, jwks, sample

KEY = Ed25519PrivateKey.from_private_bytes(bytes([2] * 32))  # the auditor's of the samples
SECONDS = int(SIGNED_AT.timestamp())


def with_opinion(file: bytes, signature: dict[str, str]) -> bytes:
    envelope = json.loads(file)
    return canonical_bytes(envelope | {"signatures": [*envelope["signatures"], signature]})


@pytest.mark.parametrize("opinion", ["agreed", "agreed_with_findings", "refused"])
def test_the_verifier_takes_what_the_tool_signs(opinion: str) -> None:
    made = sample()
    signed = sign_opinion(made.file(), KEY, opinion, signed_at=SECONDS, findings=b"line 3 is late")
    file = with_opinion(made.file(), signed)
    report = verify(file, jwks(), records=made.file_of_records)
    assert report.opinions == [f"{opinion} by Audit & Co"], report.text()
    digest = hashlib.sha256(b"line 3 is late").hexdigest()
    header = {"opinion": opinion, "findings_digest": digest}
    assert file == AUDITOR.add_signature(made.file(), signed_at=SIGNED_AT, header=header)
    assert header_of(file, 1)["kid"] == AUDITOR.kid


def test_findings_that_are_missing_and_other_files_are_refused() -> None:
    with pytest.raises(ValueError, match="findings"):
        sign_opinion(sample().file(), KEY, "agreed_with_findings", signed_at=SECONDS)
    with pytest.raises(ValueError, match="statement"):
        sign_opinion(b'{"payload":1}', KEY, "agreed", signed_at=SECONDS)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pem = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "s.jws.json").write_bytes(sample().file())
    (tmp_path / "key.pem").write_bytes(KEY.private_bytes(*pem))
    (tmp_path / "other.pem").write_bytes(X25519PrivateKey.generate().private_bytes(*pem))
    arguments = [str(tmp_path / "s.jws.json"), "--opinion", "agreed", "--key"]
    assert main([*arguments, str(tmp_path / "key.pem")]) == 0
    signed = json.loads(capsys.readouterr().out)
    assert set(signed) == {"protected", "signature"}
    assert header_of(with_opinion(sample().file(), signed), 1)["opinion"] == "agreed"
    for key in ("other.pem", "absent", "s.jws.json"):
        assert main([*arguments, str(tmp_path / key)]) == 2
        assert "Cannot sign" in capsys.readouterr().err
