"""A settled contract whose lines can be disputed, and short ways to do so."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exchange.models import Contract
from ledger.chart import Role
from ledger.models import Party
from ledger.money import parse_micros
from settlement.commands.decide_dispute import decide_dispute
from settlement.commands.open_dispute import open_dispute
from settlement.commands.propose_dispute import propose_dispute
from settlement.disputes.evidence import EvidenceFile
from settlement.models import Dispute, SettlementLine, SettlementRun, Statement
from tests.audits import tamper
from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import SYMBOL, TradingDay, refusal, requests

ONE, TWO = "first operator", "second operator"
KEY = "key:tests"
FILE = EvidenceFile("count.csv", "text/csv", b"request,tokens\nr1,900\n")


@dataclass(slots=True)
class DisputedDay:
    """The first worked example after its initial run: 80,000 of 100,000 tokens delivered, 5,000 refused, and a buyer
    whose `delivered` line is worth 336,000 micros. Disputes are taken until `until`."""

    day: TradingDay
    database: DatabaseUrls
    run: SettlementRun
    until: datetime

    @property
    def now(self) -> datetime:
        return self.until - timedelta(hours=1)

    def party_id(self, code: str) -> int:
        return self.day.parties[code].pk

    def statement(self, code: str) -> Statement:
        return Statement.objects.get(run=self.run, party=self.day.parties[code])

    def number(self, code: str, kind: str) -> int:
        """The number of the first line of a kind on a party's statement."""
        lines = SettlementLine.objects.filter(run_id=self.run.pk, party_id=self.party_id(code))
        kinds = list(lines.order_by("contract_place", "place").values_list("kind", flat=True))
        return kinds.index(kind) + 1

    def open(self, code: str = "buyer-1", kind: str = "delivered", micros: int = 100_000, **options: Any) -> Dispute:
        given: dict[str, Any] = {
            "reason": "quantity",
            "text": "Our meter saw less.",
            "files": (FILE,),
            "party_id": self.party_id(code),
            "actor": KEY,
            "now": self.now,
        }
        number = options.pop("number", None) or self.number(code, kind)
        statement = options.pop("statement", None) or self.statement(code)
        return open_dispute(statement.pk, number, micros, **given | options)

    def decide(self, dispute: Dispute, micros: int) -> Dispute:
        propose_dispute(dispute.pk, micros, "The records say so.", actor=ONE, now=self.now)
        return decide_dispute(dispute.pk, micros, "They do.", actor=TWO, now=self.now)

    def suspense(self) -> int:
        return self.day.balance("house", Role.SUSPENSE, SYMBOL)


def disputed_day(day: TradingDay, database: DatabaseUrls) -> DisputedDay:
    """Settle the day."""
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", [*requests(80_000), refusal(5_000)])
    run = day.settle()
    until = give_deadline(run, database)
    give_lines(run)
    return DisputedDay(day, database, run, until)


def give_deadline(run: SettlementRun, database: DatabaseUrls) -> datetime:
    """The run's deadline; runs that name none get one."""
    if run.dispute_until is None:
        until = run.period_end + timedelta(days=10)
        tamper(database, "UPDATE settlement_settlementrun SET dispute_until = %s WHERE id = %s", [until, run.pk])
        run.refresh_from_db()
    assert run.dispute_until is not None
    return run.dispute_until


def give_lines(run: SettlementRun) -> None:
    """Rows for the lines of statements that carry them inside; nothing for a run that wrote its rows itself."""
    if SettlementLine.objects.filter(run_id=run.pk).exists():
        return
    ids = dict(Party.objects.values_list("code", "id"))
    contracts = dict(Contract.objects.values_list("symbol", "id"))
    for statement in Statement.objects.filter(run=run):
        payload = json.loads(statement.jws)["payload"]
        core = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["core"]
        SettlementLine.objects.bulk_create(
            SettlementLine(
                run_id=run.pk,
                party_id=statement.party_id,
                contract_id=contracts[line["contract"]],
                counterparty_id=ids.get(line.get("counterparty", "")),
                amount_micros=parse_micros(line["amount"]),
                value_micros=parse_micros(line["value"]),
                cumulative_micros=parse_micros(line["value"]),
                exact_numerator=parse_micros(line["value"]),
                exact_denominator=1,
                contract_place=1,
                place=line["number"],
                tax_rate_ppm=line["tax"]["rate_ppm"],
                tax_category=line["tax"]["category"],
                kind=line["kind"],
                beneficiary=line.get("beneficiary", ""),
                reference=line.get("journal", {}).get("reference", ""),
            )
            for line in core["lines"]
        )
