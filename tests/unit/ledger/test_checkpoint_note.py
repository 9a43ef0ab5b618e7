from __future__ import annotations

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.log.note import (
    MalformedNote,
    checkpoint_text,
    key_id,
    parse_note,
    sign_note,
    verifier_key,
    verify_note,
)

ORIGIN = "ledger.example/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ROOT = bytes(range(32, 64))
NOTE = sign_note(checkpoint_text(ORIGIN, 12, ROOT), ORIGIN, KEY)

# The example in the documentation of golang.org/x/mod/sumdb/note, where the format comes from.
GO_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# A checkpoint of the Go checksum database, as C2SP quotes it, and that log's published key.
SUMDB_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_NOTE = """go.sum database tree
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— sum.golang.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""


def test_the_reference_example_is_signed_and_named_byte_for_byte() -> None:
    key = Ed25519PrivateKey.from_private_bytes(GO_SEED)
    assert verifier_key("PeterNeumann", key.public_key().public_bytes_raw()) == GO_VKEY
    assert sign_note(GO_TEXT, "PeterNeumann", key) == f"{GO_TEXT}\n{GO_SIGNATURE}"


def test_a_checkpoint_of_another_log_of_the_world_verifies() -> None:
    name, _, encoded = SUMDB_VKEY.split("+", 2)
    public = base64.b64decode(encoded)[1:]
    assert verifier_key(name, public) == SUMDB_VKEY
    assert verify_note(SUMDB_NOTE, name, public).size == 20_852_163


def test_a_checkpoint_is_three_lines_and_its_signature() -> None:
    text, signature = NOTE.split("\n\n")
    assert text.split("\n") == [ORIGIN, "12", base64.b64encode(ROOT).decode()]
    assert signature.startswith(f"— {ORIGIN} ")
    note = verify_note(NOTE, ORIGIN, PUBLIC)
    assert (note.origin, note.size, note.root) == (ORIGIN, 12, ROOT)
    ((name, signed),) = note.signatures
    assert (name, signed[:4], len(signed)) == (ORIGIN, key_id(ORIGIN, PUBLIC), 68)


def test_every_bit_flip_of_a_checkpoint_is_found() -> None:
    data = NOTE.encode()
    for place in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            try:
                text = changed.decode()
            except UnicodeDecodeError:
                continue
            with pytest.raises((MalformedNote, InvalidSignature)):
                verify_note(text, ORIGIN, PUBLIC)


def test_signatures_of_unknown_keys_are_ignored_and_a_bad_one_of_a_known_key_is_not() -> None:
    witness = sign_note(checkpoint_text(ORIGIN, 12, ROOT), "witness.example", KEY).split("\n\n")[1]
    assert verify_note(NOTE + witness, ORIGIN, PUBLIC).size == 12
    forged = f"— {ORIGIN} {base64.b64encode(key_id(ORIGIN, PUBLIC) + bytes(64)).decode()}\n"
    with pytest.raises(InvalidSignature):
        verify_note(NOTE + forged, ORIGIN, PUBLIC)
    with pytest.raises(InvalidSignature):
        verify_note(NOTE, "witness.example", PUBLIC)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        NOTE[:-1],
        NOTE.replace("\n\n", "\n"),
        NOTE.replace("12", "012"),
        NOTE.replace("12", "-1"),
        NOTE.replace("12", "\u0661"),
        NOTE.replace("— ", "- "),
        NOTE.replace("— ", "—"),
        NOTE.replace(ORIGIN, "", 1),
        NOTE.replace("\n12", "\n12\nmore\n"),
        NOTE.replace("\n12", "\n12\textra"),
        NOTE + "more\n",
        "\n".join([ORIGIN, "12", base64.b64encode(ROOT[1:]).decode(), "", NOTE.split("\n\n")[1]]),
    ],
)
def test_what_is_not_a_signed_checkpoint_is_refused(note: str) -> None:
    with pytest.raises(MalformedNote):
        parse_note(note)


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "line\n", "esc\x1b"])
def test_an_origin_that_cannot_name_a_key_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="cannot name a log"):
        checkpoint_text(origin, 1, ROOT)
    with pytest.raises(ValueError, match="cannot name a log"):
        verifier_key(origin, PUBLIC)
