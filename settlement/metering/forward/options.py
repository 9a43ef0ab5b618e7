"""What is told on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from settlement.metering.events import MAX_SOURCE_LENGTH
from settlement.metering.families import FAMILIES
from settlement.metering.forward.address import Address, BadAddress
from settlement.metering.forward.envelopes import LogForm, check_contract
from settlement.metering.forward.sending import Credentials

GRACE_SECONDS = 300
_DESCRIPTION = """Send usage from log files to the exchange, each event exactly once, whatever is killed on the way.
Lines are ready CloudEvents or log lines with a usage object. Values that begin with @ name a member of the line, such
as @metadata.buyer. Exit status: 0 all taken, 1 something was set aside (see rejects.jsonl), 2 stopped; run it again to
go on."""


class BadOptions(Exception):
    """The command line or a file that it names cannot be used; the message says why."""


class Options(NamedTuple):
    files: Sequence[Path]
    address: Address
    form: LogForm
    key_file: Path
    private_key: Path | None
    state: Path
    follow: bool
    grace: timedelta | None
    rejected: str
    new_address: bool


def read_options(arguments: Sequence[str] | None) -> Options:
    """Raises `BadOptions`; ends the process for wrong usage."""
    told = _parser().parse_intermixed_args(arguments)
    try:
        address = Address(told.url)
        if told.contract is not None:
            check_contract(told.contract)
    except (BadAddress, ValueError) as error:
        raise BadOptions(str(error)) from None
    if not 0 < len(told.meter) <= MAX_SOURCE_LENGTH:
        raise BadOptions(f"A meter's code has 1 to {MAX_SOURCE_LENGTH} characters.")
    form = LogForm(
        meter=told.meter,
        contract=told.contract,
        contracts={} if told.contract_map is None else _contracts(told.contract_map),
        buyer=told.buyer,
        provider=told.provider,
        family=told.family,
        request_id=told.request_id,
        accepted_at=told.accepted_at,
    )
    files = list(dict.fromkeys(file.absolute() for file in told.files))
    missing = [str(file) for file in files if not file.is_file()]
    if missing and not told.follow:
        raise BadOptions(f"There is no file {missing[0]}.")
    return Options(
        files,
        address,
        form,
        told.key_file,
        told.private_key,
        told.state,
        told.follow,
        None if told.no_watermarks else timedelta(seconds=told.grace),
        told.rejected,
        told.new_address,
    )


def read_credentials(key_file: Path, private_key: Path | None) -> Credentials:
    """The API key and the private key as their files are now. Raises `BadOptions`."""
    try:
        api_key = key_file.read_text(encoding="ascii").strip()
        pem = None if private_key is None else private_key.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise BadOptions(f"A key cannot be read: {error}.") from None
    if not api_key or not api_key.isprintable() or " " in api_key:
        raise BadOptions(f"{key_file} does not hold an API key.")
    if pem is None:
        return Credentials(api_key, None)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadOptions(f"{private_key} is not an Ed25519 private key in PEM, without a password.")
    return Credentials(api_key, key)


def _contracts(path: Path) -> Mapping[str, str]:
    try:
        contracts = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
        for contract in contracts.values():
            check_contract(contract)
    except (OSError, ValueError) as error:
        raise BadOptions(f"{path} is not a JSON object of contracts by model: {error}.") from None
    return contracts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="forward", description=_DESCRIPTION)
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="logs in JSON lines; rotated ones are found again")
    add("--url", required=True, help="address of the exchange, such as https://exchange.example")
    add("--meter", required=True, metavar="CODE", help="the meter that reports")
    add("--key-file", required=True, type=Path, metavar="FILE", help="holds an API key with scope meter")
    add("--private-key", type=Path, metavar="FILE", help="Ed25519 key in PEM: calls are signed")
    add("--state", required=True, type=Path, metavar="DIR", help="what is still to be sent; one a meter, keep it")
    add("--follow", action="store_true", help="go on as the files grow and rotate, until a signal comes")
    add("--contract", metavar="SYMBOL", help="or a product and length, such as QWEN3-235B.CN-EAST.STD/1H")
    add("--contract-map", type=Path, metavar="FILE", help="JSON object of contracts by the model of a line")
    add("--buyer", metavar="CODE", help="who asked")
    add("--provider", metavar="CODE", help="who served")
    add("--family", choices=sorted(FAMILIES), help="what the usage objects are; by the line's form unless told")
    add("--request-id", metavar="@MEMBER", type=_member, help="@request_id or @id unless told")
    add("--accepted-at", metavar="@MEMBER", type=_member, help="@accepted_at, @created or @created_at unless told")
    add("--grace", type=int, default=GRACE_SECONDS, metavar="SECONDS", help="from a window's end to its watermark")
    add("--no-watermarks", action="store_true", help="another program sends this meter's watermarks")
    add("--rejected", choices=("retry", "drop"), default="", help="send again, or give up, what was rejected before")
    add("--new-address", action="store_true", help="the exchange has moved: send what is left to the new --url")
    return parser


def _member(text: str) -> str:
    if not text.startswith("@"):
        raise argparse.ArgumentTypeError("name a member of the line, such as @id")
    return text
