"""A statement as a person reads it: words for its codes. Pure; it judges nothing, `verify` does.

Amounts stay the decimal strings that were signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from settlement.errors import InvalidStatement
from settlement.statements.content import stated_digest
from settlement.statements.wording import describe_line, describe_movement, percent

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `value` is what it is worth, `amount` what it changed on the party's cash account.

    `cumulative` is the value over all runs so far and `exact` the same before its one rounding, in micros; statements
    of the first form have neither.
    """

    number: int
    what: str
    counterparty: str
    beneficiary: str
    tokens: str
    price: str
    value: str
    amount: str
    cumulative: str
    exact: str
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
class KindTotal:
    """All lines of one kind together."""

    what: str
    lines: int
    tokens: str
    value: str
    amount: str


@dataclass(frozen=True, slots=True)
class Change:
    """What the runs before came to for lines of a kind, what this one changed, and what they come to now.

    Told of statements that a run went before.
    """

    what: str
    previous: str
    change: str
    cumulative: str


@dataclass(frozen=True, slots=True)
class Netting:
    """What the run's lines come to as one payment, on its value date."""

    value_date: date | None
    gross_in: str
    gross_out: str
    net: str
    saved: str  # the share of the gross that need not be paid


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
    """All that a statement says, but for its records."""

    statement_id: str
    party: str
    currency: str
    sequence: int | None
    previous_digest: str
    run_kind: str
    run_key: str
    product: str
    period_start: datetime
    period_end: datetime
    input_digest: str
    rules_version: str
    code_version: str
    usage_through: str
    opening: str
    closing: str
    held: str
    available: str
    movements: Sequence[Movement]
    totals: Sequence[KindTotal]
    total: str
    changes: Sequence[Change]
    previous_run: str
    netting: Netting | None
    lines_count: int
    metering_count: int
    splits_count: int
    records_root: str
    notice: str
    dispute_until: datetime | None
    contact: str
    core_digest: str

    @property
    def records_count(self) -> int:
        return self.lines_count + self.metering_count + self.splits_count


def read_core(core: Body) -> ReadableStatement:
    """What the core of a statement says. Raises `InvalidStatement` if it says nothing intelligible."""
    try:
        return _read(core)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidStatement("The file is not a statement.") from error


def read_lines(bodies: Iterable[tuple[int, Body]]) -> list[ContractLines]:
    """Numbered lines, by contract in their order."""
    contracts = []
    for contract, group in groupby(bodies, key=lambda each: str(each[1]["contract"])):
        same = list(group)
        window = same[0][1]["window"]
        lines = [read_line(number, body) for number, body in same]
        contracts.append(ContractLines(contract, read_time(window["start"]), read_time(window["end"]), lines))
    return contracts


def read_line(number: int, body: Body) -> Line:
    """One line from its record."""
    tax = body["tax"]
    return Line(
        number=number,
        what=describe_line(body["kind"]),
        counterparty=body.get("counterparty", ""),
        beneficiary=body.get("beneficiary", ""),
        tokens=body.get("tokens", ""),
        price=body.get("price", ""),
        value=body["value"],
        amount=body["amount"],
        cumulative=body.get("cumulative", ""),
        exact=body.get("exact", ""),
        tax=f"{tax['category']} {percent(tax['rate_ppm'])}",
        reference=body.get("journal", {}).get("reference", ""),
    )


def read_split(body: Body) -> Split:
    """One share from its record."""
    return Split(
        contract=body["contract"],
        what=describe_line(body["kind"]) if body["kind"] != "pay_provider" else "Payment for the position",
        beneficiary=body["beneficiary"],
        percent=percent(body["weight_ppm"]),
        schedule=body["schedule_version"],
        amount=body["amount"],
    )


def read_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _read(core: Body) -> ReadableStatement:
    run, balances, records, notice = core["run"], core["balances"], core["records"], core["notice"]
    delta = core.get("delta", {})
    return ReadableStatement(
        statement_id=core["statement_id"],
        party=core["party"],
        currency=core["currency"],
        sequence=core.get("sequence"),
        previous_digest=core.get("previous_digest", ""),
        run_kind=run["kind"],
        run_key=run["key"],
        product=run.get("product", ""),
        period_start=read_time(run["period"]["start"]),
        period_end=read_time(run["period"]["end"]),
        input_digest=run["input_digest"],
        rules_version=run["rules_version"],
        code_version=run.get("code_version", ""),
        usage_through=str(core.get("inputs", {}).get("usage_through", "")),
        opening=balances["opening"]["amount"],
        closing=balances["closing"]["amount"],
        held=balances["held"],
        available=balances["available"],
        movements=[_movement(each) for each in balances["movements"]],
        totals=[_total(each) for each in core["totals"]["by_kind"]],
        total=core["totals"]["amount"],
        changes=[_change(each) for each in delta.get("by_kind", ())] if "previous_run" in delta else [],
        previous_run=delta.get("previous_run", ""),
        netting=_netting(core["netting"]) if "netting" in core else None,
        lines_count=records["lines"],
        metering_count=records["metering"],
        splits_count=records["splits"],
        records_root=records["root"],
        notice=notice["text"],
        dispute_until=read_time(notice["dispute_until"]) if "dispute_until" in notice else None,
        contact=notice.get("contact", ""),
        core_digest=stated_digest(core),
    )


def _movement(movement: Body) -> Movement:
    return Movement(describe_movement(movement["kind"]), movement["entries"], movement["amount"])


def _total(total: Body) -> KindTotal:
    return KindTotal(describe_line(total["kind"]), total["lines"], total["tokens"], total["value"], total["amount"])


def _change(change: Body) -> Change:
    return Change(describe_line(change["kind"]), change["previous"], change["value"], change["cumulative"])


def _netting(netting: Body) -> Netting:
    return Netting(
        value_date=date.fromisoformat(netting["value_date"]) if "value_date" in netting else None,
        gross_in=netting["gross_in"],
        gross_out=netting["gross_out"],
        net=netting["net"],
        saved=percent(netting["ratio_ppm"]),
    )
