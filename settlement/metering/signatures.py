"""Signed calls of meters: RFC 9421 HTTP Message Signatures with Ed25519. Pure; the standard library and cryptography.

One profile, so that there is nothing to choose and nothing to confuse: one signature, labelled `sig1`, over exactly the
method (POST), the path, the content type and the RFC 9530 digest (SHA-256) of the body as it is sent, after any
compression; with the parameters `created`, `keyid` (the RFC 7638 thumbprint of the public key) and `alg="ed25519"`, in
any order. There is no nonce: events are told apart by their ids, so a call that is sent again does nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

METHOD = "POST"
CLOCK_TOLERANCE_SECONDS = 300  # how far `created` may be from the receiver's clock, either way
PATH_MAX, CONTENT_TYPE_MAX = 200, 100  # characters, as far as the evidence keeps them

_COVERED = '("@method" "@path" "content-type" "content-digest")'
_INPUT = re.compile(rf"sig1=({re.escape(_COVERED)}((?:;[a-z]+=[^;,]*){{3}}))")
_PARAMETER = re.compile(r';(?:created=([0-9]{1,12})|keyid="([A-Za-z0-9_-]{43})"|alg="(ed25519)")')
_SIGNATURE = re.compile(r"sig1=:([A-Za-z0-9+/]{86}==):")
_PRINTABLE = re.compile(r"[ -~]+")

# The y of the points whose order divides 8, as the key encodes them without the sign of x, in all their spellings.
# Under such a "key" one signature fits many messages, so it proves nothing.
_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_P = 2**255 - 19
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _P, _P + 1, _ORDER_8_Y, _P - _ORDER_8_Y})


class BadSignature(ValueError):
    """A signature is not of the profile, or does not fit the call; the message says what is wrong."""


class Signed(NamedTuple):
    """A signature as read from a call, not checked yet.

    `parameters` is the value of `sig1` in `Signature-Input`, byte for byte: the end of what is signed. `created` is in
    seconds since 1970 (UTC).
    """

    parameters: str
    key_id: str
    created: int
    signature: bytes


def read_signature(headers: Mapping[str, str]) -> Signed | None:
    """The signature of a call, by lower-case header names; None if it has none. Raises `BadSignature`."""
    signature, given = headers.get("signature"), headers.get("signature-input")
    if signature is None and given is None:
        return None
    if signature is None or given is None:
        raise BadSignature("Signature and Signature-Input belong together.")
    matched = _INPUT.fullmatch(given.strip())
    if matched is None:
        raise BadSignature(f"Signature-Input is not sig1={_COVERED} with created, keyid and alg.")
    parameters, named = matched.groups()
    values = _PARAMETER.findall(named)
    created, key_id, algorithm = ("".join(column) for column in zip(*values, strict=True)) if values else ("", "", "")
    # Three in all, one of each: neither repeated nor spelt in another way.
    if "".join(found.group() for found in _PARAMETER.finditer(named)) != named or not (
        created and key_id and algorithm
    ):
        raise BadSignature('The parameters are created, keyid (an RFC 7638 thumbprint) and alg="ed25519", once each.')
    coded = _SIGNATURE.fullmatch(signature.strip())
    if coded is None:
        raise BadSignature("Signature is not sig1=:...: with the 64 bytes of an Ed25519 signature in base64.")
    return Signed(parameters, key_id, int(created), base64.b64decode(coded[1]))


def sign(
    private_key: Ed25519PrivateKey, *, key_id: str, path: str, content_type: str, body: bytes, created: int
) -> dict[str, str]:
    """The three headers that sign a call, by lower-case names. `body` is as sent, `created` in seconds since 1970."""
    parameters = f'{_COVERED};created={created};keyid="{key_id}";alg="ed25519"'
    digest = content_digest(body)
    signature = private_key.sign(_base_of_call(path, content_type, digest, parameters))
    return {
        "content-digest": digest,
        "signature-input": f"sig1={parameters}",
        "signature": f"sig1=:{base64.b64encode(signature).decode()}:",
    }


def check(signed: Signed, public_key: bytes, *, headers: Mapping[str, str], path: str, body: bytes, now: int) -> None:
    """Whether the signature is this key's, fits this call and was made just now. Raises `BadSignature`."""
    if abs(now - signed.created) > CLOCK_TOLERANCE_SECONDS:
        raise BadSignature(
            f"The signature was created {signed.created - now:+d} seconds from now; at most {CLOCK_TOLERANCE_SECONDS} "
            "either way are allowed. Set the clock, and sign each attempt anew."
        )
    check_content(signed, public_key, headers=headers, path=path, body=body)


def check_content(signed: Signed, public_key: bytes, *, headers: Mapping[str, str], path: str, body: bytes) -> None:
    """As `check`, at whatever time: for evidence. Raises `BadSignature`."""
    if thumbprint(public_key) != signed.key_id:
        raise BadSignature("keyid is not the RFC 7638 thumbprint of the key.")
    content_type = headers.get("content-type", "").strip()
    if not _PRINTABLE.fullmatch(content_type) or len(content_type) > CONTENT_TYPE_MAX:
        raise BadSignature(f"Content-Type is missing, longer than {CONTENT_TYPE_MAX} characters or not plain text.")
    if not _PRINTABLE.fullmatch(path) or len(path) > PATH_MAX:
        raise BadSignature(f"The path is longer than {PATH_MAX} characters or not plain text.")
    digest = content_digest(body)
    if headers.get("content-digest", "").strip() != digest:
        raise BadSignature("Content-Digest is not sha-256=:...: of the body as it was sent.")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(
            signed.signature, _base_of_call(path, content_type, digest, signed.parameters)
        )
    except (InvalidSignature, ValueError):
        raise BadSignature("The signature does not fit the method, path, content type and body of the call.") from None


def signature_base(components: Sequence[tuple[str, str]], parameters: str) -> bytes:
    """What is signed: a line a component and the parameters (RFC 9421, section 2.5)."""
    lines = [f'"{name}": {value}' for name, value in components]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("ascii")


def content_digest(body: bytes) -> str:
    """The value of `Content-Digest` (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def thumbprint(public_key: bytes) -> str:
    """The RFC 7638 thumbprint of an Ed25519 public key, from its 32 bytes: the SHA-256 of its JWK, in base64url."""
    jwk = f'{{"crv":"Ed25519","kty":"OKP","x":"{base64url(public_key)}"}}'
    return base64url(hashlib.sha256(jwk.encode("ascii")).digest())


def is_usable_key(public_key: bytes) -> bool:
    """Whether these are 32 bytes under which a signature means something."""
    if len(public_key) != 32:
        return False
    return int.from_bytes(public_key, "little") & (2**255 - 1) not in _SMALL_ORDER_Y


def base64url(data: bytes) -> str:
    """Base64url without padding, as JSON Web Keys have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _base_of_call(path: str, content_type: str, digest: str, parameters: str) -> bytes:
    components = [("@method", METHOD), ("@path", path), ("content-type", content_type), ("content-digest", digest)]
    return signature_base(components, parameters)
