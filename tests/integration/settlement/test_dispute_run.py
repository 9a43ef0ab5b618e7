"""From the decision of a dispute to its disputed-final run: what every party is told is what moved on its account."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from django.core.management import call_command
from django.test import override_settings

from ledger.chart import Role
from ledger.keys.ring import public_jwks
from ledger.models import Account, Entry, Transaction
from settlement.metering.events import CORRECTION_TYPE
from settlement.models import (
    Dispute,
    DisputeState,
    PartyNotice,
    RunKind,
    RunState,
    SettlementLine,
    SettlementRun,
    Statement,
)
from settlement.runs.sweep import sweep
from settlement.selectors.disputes import has_open_dispute
from settlement.statements.jws import records_file, statement_file
from settlement.statements.verify import verify
from tests.audits import audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.settlement.disputed_day import DisputedDay, disputed_day, give_deadline
from tests.integration.settlement.trading_day import TradingDay, requests
from tests.two_operators import withdraw

HALF = 168_000


@pytest.fixture
def market(day: TradingDay, database: DatabaseUrls) -> DisputedDay:
    return disputed_day(day, database)


def run_of(market: DisputedDay, dispute: Dispute) -> SettlementRun:
    """What the sweep makes of an upheld dispute, worked off; a second sweep makes nothing more."""
    market.day.clock.at = market.now
    for _ in range(2):
        sweep(market.now, ring=lambda _: None)
        market.day.work_off()
    run = SettlementRun.objects.get(kind=RunKind.DISPUTED_FINAL)
    assert (run.dispute_id, run.state) == (dispute.pk, RunState.PUBLISHED)
    dispute.refresh_from_db()
    assert dispute.state == DisputeState.SETTLED
    told_of_it = set(PartyNotice.objects.filter(kind="dispute_settled").values_list("party_id", flat=True))
    assert told_of_it == {dispute.party_id, dispute.payee_id, market.party_id("house")}
    assert (market.suspense(), has_open_dispute(market.day.contract.pk)) == (0, False)
    return run


def told(run: SettlementRun) -> dict[tuple[int, str], int]:
    lines: Counter[tuple[int, str]] = Counter()
    for line in SettlementLine.objects.filter(run_id=run.pk).exclude(amount_micros=0):
        lines[line.party_id, line.kind] += line.amount_micros
    return dict(lines)


def moved(dispute: Dispute) -> dict[tuple[int, str], int]:
    """What the settlement of the dispute moved on cash and fees, by party and ref."""
    posted = Transaction.objects.get(kind="dispute_settle", reference=f"dispute/{dispute.pk}/settle")
    stated = Account.objects.filter(role__in=[Role.CASH, Role.FEES]).values_list("id", "party_id")
    legs: Counter[tuple[int, str]] = Counter()
    for account_id, ref, amount in Entry.objects.filter(
        transaction_id=posted.pk, account_id__in=dict(stated)
    ).values_list("account_id", "ref", "amount"):
        legs[dict(stated)[account_id], ref] += amount
    return dict(legs)


def check_statements(run: SettlementRun) -> None:
    """Every statement of the run verifies on the one before it, and tells the dispute's lines among its records."""
    keys = json.dumps(public_jwks()).encode()
    for statement in Statement.objects.filter(run=run).select_related("stated"):
        before = Statement.objects.filter(
            party=statement.party, currency=statement.currency, sequence=(statement.sequence or 0) - 1
        ).first()
        records = b"".join(records_file(statement))
        previous = None if before is None else statement_file(before)
        report = verify(statement_file(statement), keys, previous, records=records)
        assert report.ok, report.text()
        assert records.count(b'"kind":"dispute"') == (statement.party.code in ("buyer-1", "provider-1"))


def test_an_upheld_dispute_is_settled_by_a_run_of_its_own(market: DisputedDay) -> None:
    before = {code: market.day.balance(code) for code in market.day.parties}
    dispute = market.open(micros=HALF)
    market.decide(dispute, 100_000)
    run = run_of(market, dispute)
    assert {code: market.day.balance(code) for code in market.day.parties} == before | {
        "buyer-1": before["buyer-1"] + 100_000,
        "provider-1": before["provider-1"] - 100_000,
    }
    assert told(run) == moved(dispute)
    assert told(run)[market.party_id("buyer-1"), "dispute"] == 100_000
    check_statements(run)
    assert findings(audit()) == {}


def test_what_the_payee_cannot_cover_is_stated_as_debt_and_claim(market: DisputedDay) -> None:
    free = market.day.balance("provider-1") - market.day.held("provider-1")
    withdraw(market.party_id("provider-1"), market.day.currency_id, free - 1_000, reference="most", now=market.now)
    dispute = market.open(micros=HALF)
    assert dispute.suspended_micros == 1_000
    market.decide(dispute, HALF)
    run = run_of(market, dispute)
    assert market.day.balance("provider-1", Role.DEBT) == 1_000 - HALF
    lines = told(run)
    assert lines == moved(dispute)
    assert lines[market.party_id("provider-1"), "debt"] == HALF - 1_000
    assert lines[market.party_id("buyer-1"), "claim"] == 1_000 - HALF
    assert findings(audit()) == {}
    assert run.dispute_until is None  # what two people decided is not disputed again


def test_a_fee_comes_back_from_the_house(market: DisputedDay) -> None:
    before = market.day.balance("provider-1"), market.day.balance("house", Role.FEES)
    dispute = market.open("provider-1", "provider_fee", 1_121)
    market.decide(dispute, 1_000)
    run = run_of(market, dispute)
    assert (market.day.balance("provider-1"), market.day.balance("house", Role.FEES)) == (
        before[0] + 1_000,
        before[1] - 1_000,
    )
    assert told(run) == moved(dispute)
    assert findings(audit()) == {}


def test_what_open_cases_keep_back_is_in_suspense_beside_what_is_disputed(
    day: TradingDay, database: DatabaseUrls
) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    for code, tokens in (("provider-1", 40_000), ("buyer-1", 30_000)):  # one request, counted differently
        (event,) = requests(tokens, each=tokens)
        day.report(code, [event | {"source": f"meter/{code}"}])
    run = day.settle()
    market = DisputedDay(day, database, run, give_deadline(run, database))
    kept = market.suspense()
    assert kept > 0
    assert findings(audit()) == {}
    dispute = market.open(micros=50_000)
    assert market.suspense() == kept + 50_000
    assert findings(audit()) == {}
    tamper(database, "UPDATE settlement_dispute SET state = 'withdrawn'")
    assert list(found_by(audit("settlement.suspense"))) == ["settlement.suspense"]
    tamper(database, "UPDATE settlement_dispute SET state = 'open'")
    day.settle(RunKind.FINAL)  # gives back what the cases kept
    assert market.suspense() == 50_000
    assert findings(audit()) == {}
    market.decide(dispute, 50_000)
    run_of(market, dispute)
    assert findings(audit()) == {}


def void_requests(market: DisputedDay, numbers: range) -> None:
    """Both sides take so many requests of 1,000 tokens back."""
    for code in ("buyer-1", "provider-1"):
        for number in numbers:
            event = requests(80_000)[number]
            data = event["data"] | {"supersedes": f"r{number}", "why": "never served", "replacement": "void"}
            void = {"type": CORRECTION_TYPE, "id": f"void-{number}", "source": f"meter/{code}", "data": data}
            (result,) = market.day.report(code, [event | void])
            assert result.status == "accepted", result


NET = 33_600  # what 20,000 tokens less are worth to the buyer: take-or-pay stays


@pytest.mark.parametrize(("decided", "comes_to"), [(10_000, NET), (NET, NET), (84_000, 84_000)])
def test_a_correction_of_what_was_disputed_is_not_paid_a_second_time(
    market: DisputedDay, decided: int, comes_to: int
) -> None:
    """The buyer gets the higher of decision and correction."""
    before = market.day.balance("buyer-1")
    dispute = market.open(micros=decided)
    market.decide(dispute, decided)
    run_of(market, dispute)
    assert market.day.balance("buyer-1") == before + decided
    void_requests(market, range(20))
    final = market.day.settle(RunKind.FINAL)
    assert final.state == RunState.PUBLISHED
    assert market.day.balance("buyer-1") == before + comes_to
    assert told(final)[market.party_id("buyer-1"), "dispute"] == -min(decided, NET)
    assert told(final)[market.party_id("provider-1"), "dispute"] == min(decided, NET)
    assert findings(audit()) == {}
    call_command("recompute_run", final.pk)


@override_settings(SETTLEMENT_TRUE_UP_LAG_SECONDS=100 * 86_400)
def test_what_a_true_up_takes_away_again_is_credited_no_longer(market: DisputedDay) -> None:
    before = market.day.balance("buyer-1")
    dispute = market.open(micros=NET)
    market.decide(dispute, NET)
    run_of(market, dispute)
    void_requests(market, range(20))
    market.day.settle(RunKind.FINAL)
    again = [event | {"id": f"again-{event['id']}"} for event in requests(20_000)]
    for event in again:
        event["data"] = event["data"] | {"request_id": event["id"]}
    market.day.report_both("buyer-1", "provider-1", again)
    true_up = market.day.settle(RunKind.TRUE_UP)
    assert told(true_up)[market.party_id("buyer-1"), "dispute"] == NET
    assert market.day.balance("buyer-1") == before + NET
    assert findings(audit()) == {}
    call_command("recompute_run", true_up.pk)


def test_a_correction_against_the_party_leaves_its_decision_alone(market: DisputedDay) -> None:
    dispute = market.open(micros=NET)
    market.decide(dispute, NET)
    run_of(market, dispute)
    more = [event | {"id": f"more-{event['id']}"} for event in requests(5_000)]
    for event in more:
        event["data"] = event["data"] | {"request_id": event["id"]}
    market.day.report_both("buyer-1", "provider-1", more)
    final = market.day.settle(RunKind.FINAL)
    assert (market.party_id("buyer-1"), "dispute") not in told(final)
    assert findings(audit()) == {}
