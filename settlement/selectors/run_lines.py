"""Reading the lines of runs: what netting, invoices, disputes and statements stand on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q

from exchange.models import Contract
from ledger.models import Party
from settlement.models import SettlementLine
from settlement.statements.wording import describe_line

_PLACE = re.compile(r"(\d{1,9})\.(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line with the names that its numbers stand for."""

    row: SettlementLine
    what: str
    contract: str
    counterparty: str


@dataclass(frozen=True, slots=True)
class LinePage:
    """Some lines in the order of the statement; `after` continues them, "" at the end."""

    lines: Sequence[ReadLine]
    after: str
    from_top: bool


def parties_with_lines(run_id: int) -> list[Party]:
    """The parties that a run has lines of, by code."""
    having = SettlementLine.objects.filter(run_id=run_id).order_by().values_list("party_id", flat=True).distinct()
    return list(Party.objects.filter(pk__in=list(having)).order_by("code"))


def lines_after(run_id: int, party_id: int, after: str, count: int) -> LinePage:
    """A party's lines of a run after a place ("contract place.place"; anything else: from the first)."""
    lines = SettlementLine.objects.filter(run_id=run_id, party_id=party_id)
    match = _PLACE.fullmatch(after)
    if match:
        contract_place, place = map(int, match.groups())
        lines = lines.filter(Q(contract_place__gt=contract_place) | Q(contract_place=contract_place, place__gt=place))
    rows = list(lines.order_by("contract_place", "place")[: count + 1])
    shown = rows[:count]
    contracts = dict(Contract.objects.filter(pk__in={row.contract_id for row in shown}).values_list("pk", "symbol"))
    parties = dict(Party.objects.filter(pk__in={row.counterparty_id for row in shown}).values_list("pk", "code"))
    told = [
        ReadLine(
            row,
            describe_line(row.kind),
            contracts.get(row.contract_id, str(row.contract_id)),
            "" if row.counterparty_id is None else parties.get(row.counterparty_id, ""),
        )
        for row in shown
    ]
    last = shown[-1] if len(rows) > count else None
    return LinePage(told, f"{last.contract_place}.{last.place}" if last else "", match is None)
