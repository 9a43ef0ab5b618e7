"""Signatures of calls, against the RFC's own example, openssl, and a second library."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto import jwk

from settlement.metering import signatures
from settlement.metering.signatures import (
    CLOCK_TOLERANCE_SECONDS,
    BadSignature,
    base64url,
    check,
    check_content,
    content_digest,
    is_usable_key,
    read_signature,
    sign,
    signature_base,
    thumbprint,
)

NOW = 1_796_000_000
PATH = "/api/v1/usage-events"
TYPE = "application/cloudevents-batch+json"
BODY = b'[{"id":"1"}]'
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
COVERED = '("@method" "@path" "content-type" "content-digest")'

# RFC 9421, B.1.4 (the key, as a JWK) and B.2.6 (a request signed with it).
RFC_X = "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"
RFC_D = "n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU"
RFC_COMPONENTS = [
    ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("@method", "POST"),
    ("@path", "/foo"),
    ("@authority", "example.com"),
    ("content-type", "application/json"),
    ("content-length", "18"),
]
RFC_PARAMETERS = (
    '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473'
    ';keyid="test-key-ed25519"'
)
RFC_BASE = b'''"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"'''  # noqa: E501
RFC_SIGNATURE = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="


def signed_headers(body: bytes = BODY, *, created: int = NOW, key: Ed25519PrivateKey = KEY) -> dict[str, str]:
    key_id = thumbprint(key.public_key().public_bytes_raw())
    made = sign(key, key_id=key_id, path=PATH, content_type=TYPE, body=body, created=created)
    return {"content-type": TYPE, **made}


def verdict(headers: dict[str, str], *, path: str = PATH, body: bytes = BODY, now: int = NOW) -> str:
    """What is wrong with a call; nothing if it is good."""
    try:
        signed = read_signature(headers)
        assert signed is not None
        check(signed, PUBLIC, headers=headers, path=path, body=body, now=now)
    except BadSignature as bad:
        return str(bad)
    return ""


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_signature_base_is_that_of_the_rfcs_example() -> None:
    assert signature_base(RFC_COMPONENTS, RFC_PARAMETERS) == RFC_BASE
    Ed25519PublicKey.from_public_bytes(decoded(RFC_X)).verify(base64.b64decode(RFC_SIGNATURE), RFC_BASE)
    again = Ed25519PrivateKey.from_private_bytes(decoded(RFC_D)).sign(RFC_BASE)  # Ed25519 is deterministic
    assert base64.b64encode(again).decode() == RFC_SIGNATURE


def test_the_content_digest_is_that_of_the_rfcs_example() -> None:
    assert content_digest(b'{"hello": "world"}') == "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"


def test_the_thumbprint_is_that_of_rfc_8037_and_of_jwcrypto() -> None:
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert thumbprint(decoded(x)) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    other = jwk.JWK(kty="OKP", crv="Ed25519", x=base64url(PUBLIC))
    assert thumbprint(PUBLIC) == other.thumbprint()


def test_a_call_signed_here_is_good_to_openssl(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    headers = signed_headers()
    parameters = headers["signature-input"].removeprefix("sig1=")
    lines = ['"@method": POST', f'"@path": {PATH}', f'"content-type": {TYPE}']
    lines += [f'"content-digest": {headers["content-digest"]}', f'"@signature-params": {parameters}']
    (tmp_path / "base").write_text("\n".join(lines))
    (tmp_path / "signature").write_bytes(base64.b64decode(headers["signature"].removeprefix("sig1=:").rstrip(":")))
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "base"]
    ran = subprocess.run([*command, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    (tmp_path / "base").write_text("\n".join(lines).replace("POST", "PUT"))
    ran = subprocess.run([*command, "-sigfile", "signature"], cwd=tmp_path, capture_output=True, check=False)
    assert ran.returncode != 0


def test_a_call_signed_with_openssl_is_good_here(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")

    def openssl(*arguments: str) -> bytes:
        return subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, check=True).stdout

    openssl("genpkey", "-algorithm", "ed25519", "-out", "key.pem")
    public = openssl("pkey", "-in", "key.pem", "-pubout", "-outform", "DER")[-32:]
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:"
    # Parameters in another order than ours, as other libraries have them.
    parameters = f'{COVERED};keyid="{thumbprint(public)}";alg="ed25519";created={NOW}'
    lines = ['"@method": POST', f'"@path": {PATH}', f'"content-type": {TYPE}', f'"content-digest": {digest}']
    (tmp_path / "base").write_text("\n".join([*lines, f'"@signature-params": {parameters}']))
    signature = openssl("pkeyutl", "-sign", "-inkey", "key.pem", "-rawin", "-in", "base")
    headers = {
        "content-type": TYPE,
        "content-digest": digest,
        "signature-input": f"sig1={parameters}",
        "signature": f"sig1=:{base64.b64encode(signature).decode()}:",
    }
    signed = read_signature(headers)
    assert signed is not None
    check(signed, public, headers=headers, path=PATH, body=BODY, now=NOW)


def test_what_was_signed_is_read_back() -> None:
    headers = signed_headers()
    assert set(headers) == {"content-type", "content-digest", "signature-input", "signature"}
    signed = read_signature(headers)
    assert signed is not None
    assert (signed.key_id, signed.created, len(signed.signature)) == (thumbprint(PUBLIC), NOW, 64)
    assert signed.parameters == f'{COVERED};created={NOW};keyid="{thumbprint(PUBLIC)}";alg="ed25519"'
    assert verdict(headers) == ""


def test_a_call_without_signature_is_unsigned() -> None:
    assert read_signature({"content-type": TYPE, "content-digest": content_digest(BODY)}) is None


@pytest.mark.parametrize(
    ("skew", "good"),
    [(0, True), (CLOCK_TOLERANCE_SECONDS, True), (-CLOCK_TOLERANCE_SECONDS, True), (301, False), (-301, False)],
)
def test_a_signature_is_made_just_now(skew: int, good: bool) -> None:
    headers = signed_headers(created=NOW + skew)
    assert ("seconds from now" not in verdict(headers)) is good
    signed = read_signature(headers)
    assert signed is not None
    check_content(signed, PUBLIC, headers=headers, path=PATH, body=BODY)  # as evidence it never grows old


def test_every_covered_part_is_covered() -> None:
    headers = signed_headers()
    assert "does not fit" in verdict(headers, path="/api/v1/usage-event")
    assert "does not fit" in verdict(headers | {"content-type": "application/json"})
    assert "Content-Digest" in verdict(headers, body=BODY + b" ")
    assert "does not fit" in verdict(headers | {"content-digest": content_digest(b"[]")}, body=b"[]")
    later = headers["signature-input"].replace(f"created={NOW}", f"created={NOW + 1}")
    assert "does not fit" in verdict(headers | {"signature-input": later})
    reordered = f'sig1={COVERED};created={NOW};alg="ed25519";keyid="{thumbprint(PUBLIC)}"'
    assert "does not fit" in verdict(headers | {"signature-input": reordered})
    other = signed_headers(key=Ed25519PrivateKey.from_private_bytes(bytes(32)))
    assert "thumbprint" in verdict(other)
    assert "does not fit" in verdict(headers | {"signature": other["signature"]})


GOOD_KEY_ID = thumbprint(PUBLIC)
GOOD = f'created={NOW};keyid="{GOOD_KEY_ID}";alg="ed25519"'


@pytest.mark.parametrize(
    "given",
    [
        "",
        "sig1=",
        f"sig2={COVERED};{GOOD}",
        f"sig1={COVERED};{GOOD}, sig2={COVERED};{GOOD}",
        f'sig1=("@method" "@path" "content-type");{GOOD}',
        f'sig1=("@path" "@method" "content-type" "content-digest");{GOOD}',
        f'sig1=("@method" "@path" "content-type" "content-digest" "date");{GOOD}',
        f'sig1=("@method";req "@path" "content-type" "content-digest");{GOOD}',
        f"sig1={COVERED}; {GOOD}",
        f"sig1={COVERED};{GOOD};expires={NOW}",
        f'sig1={COVERED};{GOOD};nonce="x"',
        f'sig1={COVERED};created={NOW};keyid="{GOOD_KEY_ID}"',
        f'sig1={COVERED};created={NOW};created={NOW};keyid="{GOOD_KEY_ID}"',
        f'sig1={COVERED};created={NOW};created={NOW};alg="ed25519"',
        f'sig1={COVERED};created="{NOW}";keyid="{GOOD_KEY_ID}";alg="ed25519"',
        f'sig1={COVERED};created={NOW};keyid="{GOOD_KEY_ID}";alg="hmac-sha256"',
        f'sig1={COVERED};created={NOW};keyid="short";alg="ed25519"',
        f'sig1={COVERED};created=-5;keyid="{GOOD_KEY_ID}";alg="ed25519"',
        f'sig1={COVERED};created=1234567890123;keyid="{GOOD_KEY_ID}";alg="ed25519"',
        f'sig1={COVERED};created=\N{ARABIC-INDIC DIGIT ONE};keyid="{GOOD_KEY_ID}";alg="ed25519"',
    ],
)
def test_another_form_of_signature_is_refused(given: str) -> None:
    with pytest.raises(BadSignature):
        read_signature(signed_headers() | {"signature-input": given})


@pytest.mark.parametrize(
    "given",
    [
        "",
        "sig1=::",
        "sig1=:AAAA:",
        "sig1=:" + "A" * 85 + "===:",
        "sig1=:" + "A" * 86 + "==",
        "sig1=:" + "-" * 86 + "==:",
        "sig1=:" + "A" * 86 + "==:;x=1",
        "sig2=:" + "A" * 86 + "==:",
    ],
)
def test_a_signature_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(BadSignature):
        read_signature(signed_headers() | {"signature": given})


@pytest.mark.parametrize("missing", ["signature", "signature-input"])
def test_half_a_signature_is_refused_not_taken_for_none(missing: str) -> None:
    headers = signed_headers()
    del headers[missing]
    with pytest.raises(BadSignature, match="belong together"):
        read_signature(headers)


@pytest.mark.parametrize("missing", ["content-type", "content-digest"])
def test_what_is_covered_must_be_there(missing: str) -> None:
    headers = signed_headers()
    del headers[missing]
    assert verdict(headers)


@pytest.mark.parametrize("content_type", ["a/b\n", 'a/b"\u00e9', "a/" + "b" * 99, "a\r\nb", " "])
def test_a_content_type_cannot_carry_lines_or_outgrow_the_evidence(content_type: str) -> None:
    headers = signed_headers() | {"content-type": content_type}
    assert verdict(headers)
    assert verdict(signed_headers(), path=PATH + "\n")
    assert verdict(signed_headers(), path="/" + "x" * 200)


def test_a_key_under_which_anything_is_signed_is_no_key() -> None:
    assert is_usable_key(PUBLIC)
    assert not is_usable_key(PUBLIC[:31])
    assert not is_usable_key(PUBLIC + b"\0")
    found = {y for y in (*range(20), *(P - 1 - n for n in range(20)), *range(P, 2**255)) if order_divides_8(y)}
    doubled = solutions_of_order_8()
    for y in found | doubled:
        for sign_of_x in (0, 1):
            assert not is_usable_key((y | sign_of_x << 255).to_bytes(32, "little")), y
    assert found == {0, 1, P - 1, P, P + 1}
    assert len(doubled) == 2
    assert is_usable_key((2).to_bytes(32, "little"))


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # of -1


def order_divides_8(y: int) -> bool:
    """Whether a point with this y on the Ed25519 curve has an order that divides 8."""
    y %= P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P:
        return False  # no point
    for _ in range(3):
        product = D * x * x * y * y % P
        x, y = 2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P
    return (x, y) == (0, 1)


def solutions_of_order_8() -> set[int]:
    """The y of points that double to one with y = 0: there x² = -y², so d·y⁴ + 2·y² - 1 = 0 from the curve."""
    found = set()
    root_of_discriminant = square_root((1 + D) % P)
    for sign_of_root in (1, -1):
        y = square_root((-1 + sign_of_root * root_of_discriminant) * pow(D, -1, P) % P)
        if y and order_divides_8(y):
            found |= {y, P - y}
    return found


def square_root(number: int) -> int:
    """0 if there is none."""
    root = pow(number, (P + 3) // 8, P)
    for candidate in (root, root * ROOT % P):
        if candidate * candidate % P == number:
            return candidate
    return 0


def test_the_headers_are_plain_text_for_any_http_library() -> None:
    assert json.dumps(signed_headers()).isascii()
    assert all(len(value) < 400 for value in signed_headers().values())


def test_the_example_with_openssl_makes_good_signatures(tmp_path: Path) -> None:
    """The document's own commands, run as they stand, with a `curl` that writes down what it was given."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    text = (Path(signatures.__file__).parent / "SIGNED_CALLS.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    (tmp_path / "body").write_bytes(BODY)
    (tmp_path / "curl").write_text('#!/bin/sh\nfor given; do printf "%s\\n" "$given"; done\n')
    (tmp_path / "curl").chmod(0o755)
    environment = os.environ | {"BODY": "body", "HOST": "h", "KEY": "k", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    before = "openssl genpkey -algorithm ed25519 -out key.pem\nopenssl pkey -in key.pem -pubout -outform DER > public\n"
    ran = subprocess.run(
        ["sh", "-e", "-c", before + example], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    given = [line.partition(": ") for line in ran.stdout.splitlines() if ": " in line]
    headers = {name.lower(): value for name, _, value in given}
    signed = read_signature(headers)
    assert signed is not None
    public = (tmp_path / "public").read_bytes()[-32:]
    check(signed, public, headers=headers, path=PATH, body=BODY, now=signed.created)
