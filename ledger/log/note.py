"""Checkpoints as text: C2SP tlog-checkpoint in a C2SP signed note, Ed25519 (signature type 0x01). Pure.

    <origin>
    <number of leaves>
    <base64 of the root>

    — <key name> <base64 of the key's id (4 bytes) and the signature (64 bytes)>

The signature covers the three lines with their line ends. The key is named like the log: its origin.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_KEY_ID_BYTES = 4
_ROOT_BYTES = 32


class MalformedNote(ValueError):
    """The text is not a signed checkpoint; the message says why."""


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed checkpoint. Nothing in it means anything before `verify_note` has found a good signature."""

    text: str  # what is signed
    origin: str
    size: int
    root: bytes
    signatures: tuple[tuple[str, bytes], ...]  # (key name, key id and signature)


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """What is signed. Raises `ValueError` for an origin that cannot name a key."""
    _check_name(origin)
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes that, with the name, tell verifiers which key signed."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_ID_BYTES]


def verifier_key(name: str, public: bytes) -> str:
    """A public key (32 bytes) in the one-line form that tools for signed notes take."""
    _check_name(name)
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def sign_note(text: str, name: str, private_key: Ed25519PrivateKey) -> str:
    """The signed note: the text, an empty line, one signature line."""
    return sign_note_with(private_key.sign, text, name, private_key.public_key().public_bytes_raw())


def sign_note_with(sign: Callable[[bytes], bytes], text: str, name: str, public: bytes) -> str:
    """The same with the key (its public part: 32 bytes) that `sign` signs with, wherever it is."""
    signature = key_id(name, public) + sign(text.encode())
    return f"{text}\n— {name} {base64.b64encode(signature).decode()}\n"


def parse_note(note: str) -> Note:
    """A checkpoint's parts. Raises `MalformedNote`."""
    head, separator, tail = note.rpartition("\n\n")
    lines = tail.split("\n")
    if not separator or lines.pop() or not lines:
        raise MalformedNote("A signed note is a text, an empty line and signature lines.")
    text = f"{head}\n"
    if any(character < " " for character in note.replace("\n", "")):
        raise MalformedNote("A signed note holds no control characters.")
    try:
        origin, size, root = head.split("\n")
    except ValueError:
        raise MalformedNote("A checkpoint has three lines: origin, size, root.") from None
    if not origin or not _SIZE.fullmatch(size):
        raise MalformedNote("The first line of a checkpoint is its origin, the second its size.")
    return Note(text, origin, int(size), _decoded(root, _ROOT_BYTES), tuple(_signature(line) for line in lines))


def verify_note(note: str, name: str, public: bytes) -> Note:
    """The checkpoint that the key (its name, and 32 bytes) signed. Raises `MalformedNote`, or `InvalidSignature`
    when no line is a good signature of this key, or one of its lines is a bad one."""
    parsed = parse_note(note)
    wanted = (name, key_id(name, public))
    signed = [line[_KEY_ID_BYTES:] for signer, line in parsed.signatures if (signer, line[:_KEY_ID_BYTES]) == wanted]
    if not signed:
        raise InvalidSignature(f"The note is not signed by {name} with this key.")
    for signature in signed:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, parsed.text.encode())
    return parsed


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or not name.isprintable():
        raise ValueError(f"{name!r} cannot name a log: it must not be empty or hold spaces or a plus sign.")


def _signature(line: str) -> tuple[str, bytes]:
    matched = _SIGNATURE_LINE.fullmatch(line)
    if matched is None:
        raise MalformedNote("A signature line is a dash, the key's name and base64.")
    return matched[1], _decoded(matched[2])


def _decoded(text: str, length: int | None = None) -> bytes:
    """Standard base64 in its one form, so that every change of a character is a change of the bytes."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise MalformedNote("Not base64.") from None
    if base64.b64encode(data).decode() != text or (length is not None and len(data) != length):
        raise MalformedNote("Not base64 in its one form, or of another length.")
    return data
