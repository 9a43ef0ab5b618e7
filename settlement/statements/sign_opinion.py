"""An auditor's opinion of a statement, signed with the auditor's own key.

    python -m settlement.statements.sign_opinion FILE --key KEY.pem --opinion OPINION [--findings FILE]

Prints the members `protected` and `signature` as JSON, to be sent to the exchange, which keeps them with the statement.
Verify the statement first (`settlement.statements.verify`): this signs whatever it says. Like the verifier the file
stands alone, with Python's standard library and `cryptography`. Exit status: 0 signed, 2 a file could not be used.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

TYPE = "tokenbourse-statement+jws"
OPINIONS = ("agreed", "agreed_with_findings", "refused")


def sign_opinion(
    statement: bytes, key: Ed25519PrivateKey, opinion: str, *, signed_at: int, findings: bytes | None = None
) -> dict[str, str]:
    """The members of a JWS signature over a statement's payload. `signed_at` in seconds since 1970; of the `findings`
    the digest is signed. Raises ValueError for what is no statement, or findings that are missing."""
    payload = json.loads(statement)["payload"]
    if not isinstance(payload, str):
        raise ValueError("the file is not a signed statement")
    if opinion == "agreed_with_findings" and findings is None:
        raise ValueError("an opinion with findings needs the file of the findings")
    header: dict[str, str | int] = {
        "alg": "Ed25519",
        "iat": signed_at,
        "kid": _thumbprint(key),
        "opinion": opinion,
        "typ": TYPE,
    }
    if findings is not None:
        header["findings_digest"] = hashlib.sha256(findings).hexdigest()
    protected = _base64url(_canonical(header))
    return {"protected": protected, "signature": _base64url(key.sign(f"{protected}.{payload}".encode()))}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sign_opinion", description="Sign an opinion of a statement.")
    parser.add_argument("file", type=Path, help="the statement")
    parser.add_argument("--key", type=Path, required=True, help="your private Ed25519 key (PEM, not encrypted)")
    parser.add_argument("--opinion", choices=OPINIONS, required=True)
    parser.add_argument("--findings", type=Path, help="the file of your findings; its SHA-256 is signed")
    options = parser.parse_args(arguments)
    try:
        key = load_pem_private_key(options.key.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("the key is not an Ed25519 key")
        findings = None if options.findings is None else options.findings.read_bytes()
        statement = options.file.read_bytes()
        signed = sign_opinion(statement, key, options.opinion, signed_at=int(time.time()), findings=findings)
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"Cannot sign: {error}", file=sys.stderr)
        return 2
    print(json.dumps(signed))
    return 0


def _thumbprint(key: Ed25519PrivateKey) -> str:
    """RFC 7638."""
    x = _base64url(key.public_key().public_bytes_raw())
    return _base64url(hashlib.sha256(_canonical({"crv": "Ed25519", "kty": "OKP", "x": x})).digest())


def _canonical(members: dict[str, str | int]) -> bytes:
    """RFC 8785; the names and values are plain."""
    return json.dumps(members, sort_keys=True, separators=(",", ":")).encode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


if __name__ == "__main__":
    sys.exit(main())
