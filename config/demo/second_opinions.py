"""What tools of others say of a day's files: openssl and jwcrypto of the signatures, hledger of the closing balances.

None of them is needed for a demo. One that is not installed is named, and its figures are left out: nothing passes for
checked that was not.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

OPENSSL, JWCRYPTO, HLEDGER = "openssl", "jwcrypto", "hledger"
SECONDS = 120


@dataclass(frozen=True, slots=True)
class SecondOpinions:
    """How many statements each tool accepts and of how many accounts hledger finds the balance that their owners' last
    statements close with; None where the tool is missing, which `absent` then names."""

    openssl: int | None
    jwcrypto: int | None
    hledger_accounts: int | None
    hledger_differences: int | None
    absent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closing:
    """The balance that the last statement of an account's owner closes with; the account as hledger names it."""

    account: str
    commodity: str
    amount: Decimal


def ask_others(statements: Sequence[bytes], jwks: bytes, journal: Path, closings: Sequence[Closing]) -> SecondOpinions:
    """Every tool that is there. `journal` is in hledger's form and ends where the last statements close."""
    present = {OPENSSL: shutil.which(OPENSSL), JWCRYPTO: find_spec(JWCRYPTO), HLEDGER: shutil.which(HLEDGER)}
    differences = None
    if present[HLEDGER]:
        balances = _hledger_balances(journal)
        differences = sum(balances.get((each.account, each.commodity)) != each.amount for each in closings)
    return SecondOpinions(
        openssl=_accepted(statements, jwks, _by_openssl) if present[OPENSSL] else None,
        jwcrypto=_accepted(statements, jwks, _by_jwcrypto) if present[JWCRYPTO] else None,
        hledger_accounts=len(closings) if present[HLEDGER] else None,
        hledger_differences=differences,
        absent=tuple(name for name, found in present.items() if not found),
    )


def _accepted(
    statements: Iterable[bytes], jwks: bytes, accepts: Callable[[bytes, Mapping[str, Mapping[str, Any]]], bool]
) -> int:
    keys = {key["kid"]: key for key in json.loads(jwks)["keys"]}
    return sum(accepts(statement, keys) for statement in statements)


def _by_openssl(statement: bytes, keys: Mapping[str, Mapping[str, Any]]) -> bool:
    """Each signature, over exactly the bytes that the JWS has."""
    envelope = json.loads(statement)
    with TemporaryDirectory(prefix="tokenbourse-") as folder:
        return all(_openssl_accepts(envelope["payload"], each, keys, Path(folder)) for each in envelope["signatures"])


def _openssl_accepts(
    payload: str, signed: Mapping[str, str], keys: Mapping[str, Mapping[str, Any]], folder: Path
) -> bool:
    key = keys[json.loads(_decoded(signed["protected"]))["kid"]]
    public = Ed25519PublicKey.from_public_bytes(_decoded(key["x"]))
    files = {
        "key.pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "signed": f"{signed['protected']}.{payload}".encode(),
        "signature": _decoded(signed["signature"]),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    command = [
        *(OPENSSL, "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin"),
        *("-in", "signed", "-sigfile", "signature"),
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=SECONDS).returncode == 0


def _by_jwcrypto(statement: bytes, keys: Mapping[str, Mapping[str, Any]]) -> bool:
    """Each signature, in a JWS of its own: jwcrypto is content with one of several."""
    from jwcrypto.common import JWException  # it is not among what the product needs
    from jwcrypto.jwk import JWK
    from jwcrypto.jws import JWS

    envelope = json.loads(statement)
    for signed in envelope["signatures"]:
        key = keys[json.loads(_decoded(signed["protected"]))["kid"]]
        token = JWS()
        token.allowed_algs = ["Ed25519"]
        try:
            token.deserialize(json.dumps({"payload": envelope["payload"], **signed}))
            token.verify(JWK(kty=key["kty"], crv=key["crv"], x=key["x"]))
        except JWException:
            return False
    return True


def _hledger_balances(journal: Path) -> dict[tuple[str, str], Decimal]:
    """Sums of all postings by account and commodity; every assertion of the file is checked on the way."""
    answer = subprocess.run(
        [HLEDGER, "-f", str(journal), "balance", "--flat", "--empty", "--no-total", "--layout=bare", "-O", "csv"],
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if answer.returncode:
        return {}
    rows = csv.DictReader(io.StringIO(answer.stdout))
    return {(row["account"], row["commodity"]): Decimal(row["balance"]) for row in rows}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
