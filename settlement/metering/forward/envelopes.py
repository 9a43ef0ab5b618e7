"""From a line of a log to an event: ready CloudEvents as they are, lines with a usage object as requests that were
completed or refused. Pure: a line makes the same event whenever and wherever it is read, so a log may be read anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw, Struct

from exchange.errors import InvalidSymbol, InvalidWindow
from exchange.windows import check_product_code, format_symbol, parse_length, parse_symbol, window_at
from settlement.metering.decode import BadEvent, WatermarkReport, decode_event
from settlement.metering.events import COMPLETED_TYPE, REFUSED_TYPE

MEMBER = "@"  # an option that begins so names a member of the line, dots between levels
TIMES = ("accepted_at", "created", "created_at")  # members that may say when a request was accepted, in this order
TIMINGS = ("ttft_ms", "output_ms")  # of a completed request, passed on as they are
REQUEST_IDS = ("request_id", "id")
USUAL_FAMILY = "openai_chat"
FAMILY_OF_FORM = {  # what a logged answer calls itself, in its member `object` or `type`
    "chat.completion": "openai_chat",
    "response": "openai_responses",
    "message": "anthropic_messages",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_plain = msgspec.json.Decoder(float_hook=Decimal)


class _Usage(Struct):
    """The one member of a log line that is kept byte for byte."""

    usage: Raw | msgspec.UnsetType = msgspec.UNSET


_usage = msgspec.json.Decoder(_Usage)


class BadLine(Exception):
    """A line makes no event. `code` is stable; the message says what is wrong and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Prepared(Struct, frozen=True):
    """An event to send. `accepted_at` is in microseconds since 1970; None for a watermark, which counts nowhere."""

    event_id: str
    contract: str
    accepted_at: int | None
    body: bytes


class LogForm(Struct, frozen=True, kw_only=True):
    """How log lines are read. Texts that begin with `@` name a member of the line.

    `contract` is a symbol, or a product and length such as `QWEN3-235B.CN-EAST.STD/1H`, for the window that the request
    falls into; `contracts` has the same by the line's `model`, and goes first. Without `family` a line says itself what
    it is, or is taken for `openai_chat`.
    """

    meter: str
    contract: str | None = None
    contracts: Mapping[str, str] = msgspec.field(default_factory=dict)
    buyer: str | None = None
    provider: str | None = None
    family: str | None = None
    request_id: str | None = None
    accepted_at: str | None = None


def prepare(line: bytes, made_id: str, form: LogForm) -> Prepared:
    """The event of a line; `made_id` becomes its id unless it has one. Raises `BadLine`."""
    try:
        members = _plain.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadLine("unreadable_line", f"The line is not JSON: {error}.") from None
    if not isinstance(members, dict):
        raise BadLine("unreadable_line", "The line is not an object.")
    body = (
        _completed(line, members, made_id, form.meter)
        if "specversion" in members
        else _event(line, members, made_id, form)
    )
    try:
        report = decode_event(body)
    except BadEvent as bad:
        raise BadLine(bad.code, bad.message) from None
    if isinstance(report, WatermarkReport):
        return Prepared(report.event_id, report.contract, None, body)
    return Prepared(report.event_id, report.contract, micros(report.accepted_at), body)


def check_contract(text: str) -> str:
    """`text`, if it is a symbol, a product with a length, or names a member. Raises `ValueError` that says why not."""
    if text.startswith(MEMBER):
        return text
    try:
        if "@" in text:
            parse_symbol(text)
        else:
            product, _, length = text.partition("/")
            check_product_code(product)
            parse_length(length)
    except (InvalidSymbol, InvalidWindow) as error:
        raise ValueError(str(error)) from None
    return text


def micros(at: datetime) -> int:
    """Microseconds since 1970 in UTC."""
    return (at - _EPOCH) // _MICROSECOND


def _completed(line: bytes, members: Mapping[str, Any], made_id: str, meter: str) -> bytes:
    """A ready event with the id and source that it may lack, otherwise byte for byte as it is."""
    lacking = {name: value for name, value in (("id", made_id), ("source", meter)) if name not in members}
    if not lacking:
        return line
    return msgspec.json.encode(lacking)[:-1] + b"," + line.lstrip()[1:]  # it has a specversion at least


def _event(line: bytes, members: Mapping[str, Any], made_id: str, form: LogForm) -> bytes:
    refusal, usage = members.get("refusal"), _usage.decode(line).usage
    if usage is msgspec.UNSET and refusal is None:
        raise BadLine("not_usage", "The line has neither a usage nor a refusal: it tells of no request.")
    accepted_at = _accepted_at(members, form)
    data = {
        "contract": _contract(members, form, accepted_at),
        "buyer": _named(members, form.buyer, "buyer"),
        "provider": _named(members, form.provider, "provider"),
        "request_id": _named(members, form.request_id or _present(members, REQUEST_IDS), "request id"),
        "accepted_at": accepted_at.isoformat().replace("+00:00", "Z"),
        "family": form.family or _family(members),
        "usage": None if usage is msgspec.UNSET else usage,
    }
    if members.get("retry_of") is not None:
        data["retry_of"] = members["retry_of"]
    if refusal is not None:
        data["reason"] = refusal
    else:
        data |= {name: members[name] for name in TIMINGS if members.get(name) is not None}
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "type": COMPLETED_TYPE if refusal is None else REFUSED_TYPE,
            "source": form.meter,
            "id": made_id,
            "time": data["accepted_at"],
            "data": data,
        }
    )


def _accepted_at(members: Mapping[str, Any], form: LogForm) -> datetime:
    value = _member(members, form.accepted_at or _present(members, TIMES))
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value)
            if at.tzinfo is None:
                raise ValueError("no offset from UTC")
            return at.astimezone(UTC)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return _EPOCH + int(value * 1_000_000) * _MICROSECOND
    except (ValueError, OverflowError, ArithmeticError):
        pass
    raise BadLine(
        "no_time", "The line does not say when the request was accepted: seconds since 1970, or a time with its offset."
    )


def _contract(members: Mapping[str, Any], form: LogForm, accepted_at: datetime) -> str:
    model = members.get("model")
    wanted = form.contracts.get(model) if isinstance(model, str) else None
    if wanted is None:
        if form.contract is None:
            raise BadLine("unmapped_model", f"The contract map does not name the model {model!r}.")
        wanted = _named(members, form.contract, "contract")
    try:
        if "@" in check_contract(wanted):
            return wanted
        product, _, length = wanted.partition("/")
        return format_symbol(product, window_at(accepted_at, parse_length(length)))
    except ValueError as error:
        raise BadLine("no_contract", str(error)) from None


def _family(members: Mapping[str, Any]) -> str:
    for name in ("object", "type"):
        said = members.get(name)
        if isinstance(said, str) and said in FAMILY_OF_FORM:
            return FAMILY_OF_FORM[said]
    return USUAL_FAMILY


def _present(members: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return MEMBER + next((name for name in names if members.get(name) is not None), names[0])


def _named(members: Mapping[str, Any], wanted: str | None, what: str) -> str:
    """What an option says, or the member it names."""
    value = _member(members, wanted) if wanted is not None and wanted.startswith(MEMBER) else wanted
    if not isinstance(value, str) or not value:
        where = "" if wanted is None else f" at {wanted}"
        raise BadLine(f"no_{what.replace(' ', '_')}", f"The line names no {what}{where}.")
    return value


def _member(members: Mapping[str, Any], path: str) -> Any:
    value: Any = members
    for name in path.removeprefix(MEMBER).split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
