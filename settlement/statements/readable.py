"""A statement as a person reads it: words for its codes, lines by contract. Pure; it judges nothing, `verify` does.

Amounts stay the decimal strings that were signed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from settlement.errors import InvalidStatement

LINE_WORDS: Mapping[str, str] = {
    "delivered": "Delivered tokens",
    "take_or_pay": "Take-or-pay on unused tokens",
    "refund_unused": "Refund for unused tokens",
    "refund_short": "Refund for tokens not delivered",
    "short": "Tokens not delivered",
    "damages": "Damages for tokens not delivered",
    "overage": "Use above the position",
    "overage_fee": "Fee on use above the position",
    "provider_fee": "Provider's fee",
    "share": "Share",
    "excess": "Use beyond the overage cap, not charged",
    "unmatched": "Use without a position, not charged",
    "debt": "Still to be paid",
    "claim": "Still to be received",
}
MOVEMENT_WORDS: Mapping[str, str] = {
    "deposit": "Deposits",
    "withdrawal": "Withdrawals",
    "fill_reversal": "Trades taken back",
    "reversal": "Deposits and withdrawals taken back",
    "clearing": "Purchases and their fees",
    "pay_provider": "Paid for delivered and reserved tokens, after fee and shares",
    "refund_unused": "Refunds for unused tokens",
    "refund_short": "Refunds for tokens not delivered",
    "overage": "Use above positions",
    "damages": "Damages",
    "adjustment": "Changes by a later run",
    "clear_debt": "Debts paid",
}
MILLI = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `value` is what it is worth, `amount` what it changed on the party's cash account."""

    number: int
    what: str
    counterparty: str
    beneficiary: str
    tokens: str
    price: str
    value: str
    amount: str
    tax: str
    reference: str


@dataclass(frozen=True, slots=True)
class ContractLines:
    """The lines of one contract, in their order."""

    contract: str
    start: datetime
    end: datetime
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Movement:
    what: str
    entries: int
    amount: str


@dataclass(frozen=True, slots=True)
class Metering:
    """The meters' figures of a position, in contract tokens with three decimals; empty where a meter said nothing."""

    contract: str
    counterparty: str
    provider: str
    buyer: str
    difference: str
    settled: str
    refused: str


@dataclass(frozen=True, slots=True)
class Split:
    contract: str
    what: str
    beneficiary: str
    percent: str
    schedule: int
    amount: str


@dataclass(frozen=True, slots=True)
class ReadableStatement:
    """Everything a statement says, and who signed it when."""

    statement_id: str
    party: str
    currency: str
    sequence: int | None
    previous_digest: str
    run_kind: str
    run_key: str
    period_start: datetime
    period_end: datetime
    input_digest: str
    rules_version: str
    opening: str
    closing: str
    held: str
    available: str
    movements: Sequence[Movement]
    contracts: Sequence[ContractLines]
    lines_count: int
    lines_root: str
    total: str
    metering: Sequence[Metering]
    splits: Sequence[Split]
    notice: str
    core_digest: str
    issued_at: datetime
    signers: Sequence[str]


def read_statement(file: str) -> ReadableStatement:
    """What a statement file says, without checking it. Raises `InvalidStatement` if it says nothing intelligible."""
    try:
        envelope = json.loads(file)
        payload = json.loads(_decoded(envelope["payload"]))
        signers = [json.loads(_decoded(each["protected"]))["kid"] for each in envelope["signatures"]]
        return _read(payload, signers)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidStatement("The file is not a statement.") from error


def _read(payload: Mapping[str, Any], signers: Sequence[str]) -> ReadableStatement:
    core = payload["core"]
    run, balances = core["run"], core["balances"]
    return ReadableStatement(
        statement_id=core["statement_id"],
        party=core["party"],
        currency=core["currency"],
        sequence=core.get("sequence"),
        previous_digest=core.get("previous_digest", ""),
        run_kind=run["kind"],
        run_key=run["key"],
        period_start=_time(run["period"]["start"]),
        period_end=_time(run["period"]["end"]),
        input_digest=run["input_digest"],
        rules_version=run["rules_version"],
        opening=balances["opening"]["amount"],
        closing=balances["closing"]["amount"],
        held=balances["held"],
        available=balances["available"],
        movements=[_movement(each) for each in balances["movements"]],
        contracts=_by_contract(core["lines"]),
        lines_count=core["lines_count"],
        lines_root=core["lines_root"],
        total=core["totals"]["amount"],
        metering=[_metering(each) for each in core["metering"]],
        splits=[_split(each) for each in core["splits"]],
        notice=core["notice"],
        core_digest=payload["core_digest"],
        issued_at=_time(payload["annex"]["issued_at"]),
        signers=signers,
    )


def describe_line(kind: str) -> str:
    """The kind of a line in words; an unknown one as it is."""
    return LINE_WORDS.get(kind, kind.replace("_", " "))


def _by_contract(lines: Sequence[Mapping[str, Any]]) -> list[ContractLines]:
    contracts = []
    for contract, group in groupby(lines, key=lambda line: str(line["contract"])):
        same = list(group)
        window = same[0]["window"]
        contracts.append(
            ContractLines(contract, _time(window["start"]), _time(window["end"]), [_line(line) for line in same])
        )
    return contracts


def _line(line: Mapping[str, Any]) -> Line:
    tax = line["tax"]
    return Line(
        number=line["number"],
        what=describe_line(line["kind"]),
        counterparty=line.get("counterparty", ""),
        beneficiary=line.get("beneficiary", ""),
        tokens=line.get("tokens", ""),
        price=line.get("price", ""),
        value=line["value"],
        amount=line["amount"],
        tax=f"{tax['category']} {_percent(tax['rate_ppm'])}",
        reference=line.get("journal", {}).get("reference", ""),
    )


def _movement(movement: Mapping[str, Any]) -> Movement:
    kind = movement["kind"]
    return Movement(MOVEMENT_WORDS.get(kind, kind.replace("_", " ")), movement["entries"], movement["amount"])


def _metering(figure: Mapping[str, Any]) -> Metering:
    def tokens(name: str) -> str:
        return _from_milli(figure[f"{name}_millitokens"]) if f"{name}_millitokens" in figure else ""

    return Metering(
        contract=figure["contract"],
        counterparty=figure["counterparty"],
        provider=tokens("provider"),
        buyer=tokens("buyer"),
        difference=tokens("difference"),
        settled=tokens("settled"),
        refused=tokens("refused"),
    )


def _split(split: Mapping[str, Any]) -> Split:
    return Split(
        contract=split["contract"],
        what=describe_line(split["kind"]) if split["kind"] != "pay_provider" else "Payment for the position",
        beneficiary=split["beneficiary"],
        percent=_percent(split["weight_ppm"]),
        schedule=split["schedule_version"],
        amount=split["amount"],
    )


def _from_milli(text: str) -> str:
    """ "1234567" milli-contract-tokens -> "1234.567" contract tokens."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, thousandths = divmod(int(digits), MILLI)
    return f"{sign}{whole}.{thousandths:03d}"


def _percent(ppm: int) -> str:
    """700000 -> "70 %", 125000 -> "12.5 %"."""
    whole, rest = divmod(ppm, 10_000)
    fraction = f".{rest:04d}".rstrip("0") if rest else ""
    return f"{whole}{fraction} %"


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
