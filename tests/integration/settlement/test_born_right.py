"""What nobody may begin at the end, or write afterwards: with plain SQL of the application's role it is refused, and
with the owner's hand, behind the triggers, the audit finds it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction

from ledger.errors import DomainError
from settlement.commands.decide_force_majeure import confirm_force_majeure
from settlement.commands.request_force_majeure import RequestForceMajeure, request_force_majeure
from settlement.models import (
    DisputeState,
    PayoutAccount,
    RunKind,
    RunState,
    SettlementLine,
    SettlementRun,
    Statement,
)
from settlement.runs.create import create_run
from tests.audits import audit, findings, tamper
from tests.conftest import DatabaseUrls
from tests.integration.settlement.disputed_day import ONE, TWO, DisputedDay, disputed_day
from tests.integration.settlement.payment_day import PaymentDay
from tests.integration.settlement.trading_day import END, START, TradingDay

LINE = (
    "INSERT INTO settlement_settlementline (run_id, party_id, contract_id, amount_micros, value_micros,"
    " cumulative_micros, exact_numerator, exact_denominator, contract_place, place, tax_rate_ppm, tax_category, kind,"
    " beneficiary, reference, ref) SELECT run_id, party_id, contract_id, {amount}, 0, 0, 0, 1, 1, 900 + {amount}, 0,"
    " 'standard', 'delivered', '', '', '' FROM settlement_settlementline ORDER BY 1, 2, contract_place, place LIMIT 1"
)
DISPUTE = (
    "INSERT INTO settlement_dispute (statement_id, line_number, line_kind, party_id, payee_id, contract_id, buyer_id,"
    " provider_id, reason, text, disputed_micros, suspended_micros, state, opened_at, opened_by, decide_by,"
    " decided_micros, proposed_by, decided_by, decided_at) SELECT told.id, {line}, '{kind}', told.party_id, {payee},"
    " contract_id, told.party_id, counterparty_id, 'other', 'x', {micros}, 0, '{state}', now(), 'x', now(), {decision}"
    " FROM settlement_statement AS told JOIN settlement_settlementline AS line USING (run_id, party_id)"
    " JOIN ledger_party AS party ON party.id = told.party_id WHERE party.code = 'buyer-1' AND line.kind = 'delivered'"
)
UNDECIDED, DECIDED = "NULL, '', '', NULL", "1, 'user:a', 'user:b', now()"
ACCOUNT = (
    "INSERT INTO settlement_payoutaccount (party_id, currency_id, holder, iban, bic, state, requested_by, requested_at,"
    " decided_by, decided_at) SELECT party.id, asset.id, 'e', 'GB82WEST12345698765432', '', 'confirmed', 'a', now(),"
    " 'b', now() FROM ledger_party AS party, ledger_asset AS asset"
    " WHERE party.code = 'provider-1' AND asset.code = 'CNY'"
)
EXCUSE = (
    "INSERT INTO settlement_forcemajeure (provider_id, starts_at, ends_at, reason, state, requested_by, requested_at,"
    " decided_by, decided_at) SELECT id, '2026-12-01', '2026-12-02', 'x', 'confirmed', 'a', now(), 'b', now()"
    " FROM ledger_party WHERE code = 'provider-1'"
)
RULING = (
    "INSERT INTO settlement_discrepancycase (contract_id, buyer_id, provider_id, kind, state, opened_at, changed_at,"
    " requests, provider_millitokens, buyer_millitokens, settled_millitokens, ruling, proposed_by, decided_by)"
    " SELECT contract_id, buyer_id, provider_id, 'lost_end', 'decided', now(), now(), 1, 0, 0, 0, 'provider',"
    " 'user:a', 'user:b' FROM settlement_positionsettlement"
)
RUN = (
    "INSERT INTO settlement_settlementrun (currency_id, period_start, period_end, kind, sequence, state, rules_version,"
    " code_version, created_at, published_at, usage_through) SELECT currency_id, period_start, period_end, kind, 7,"
    " {values} FROM settlement_settlementrun"
)
JOB = (
    "INSERT INTO settlement_settlementjob (run_id, step, subject_id, state, attempt, lease_owner, fencing, error)"
    " SELECT id, 'release', 7, '{state}', 0, '', {fencing}, '' FROM settlement_settlementrun"
)
RUNNING = "UPDATE settlement_settlementjob SET state = 'running', fencing = fencing + 1"
DONE = "UPDATE settlement_settlementjob SET state = 'done'"
REFUSED = "at the beginning of its life|while their run is open|cannot become|a case begins open|append-only"


@pytest.fixture
def market(day: TradingDay, database: DatabaseUrls) -> DisputedDay:
    return disputed_day(day, database)


def run(statement: str, parameters: Sequence[Any] = ()) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def dispute(line: int = 1, kind: str = "delivered", payee: str = "counterparty_id", micros: int = 1,
            state: str = "open", decision: str = UNDECIDED) -> str:  # fmt: skip
    return DISPUTE.format(line=line, kind=kind, payee=payee, micros=micros, state=state, decision=decision)


FORGERIES = {
    "a line of a published run": LINE.format(amount=50_000_000),
    "a dispute that is upheld": dispute(state="upheld", decision=DECIDED),
    "a dispute that is proposed": dispute(state="proposed", decision="1, 'user:a', '', NULL"),
    "an open dispute with a decision": dispute(decision=DECIDED),
    "a confirmed payout account": ACCOUNT,
    "confirmed force majeure": EXCUSE,
    "a ruling": RULING,
    "a run that is published": RUN.format(values="'published', '', '', now(), now(), 0"),
    "a run that is stated": RUN.format(values="'stating', '', '', now(), NULL, 0"),
    "a run as of earlier releases": RUN.format(values="'open', '', '', now(), NULL, NULL"),
    "a job that is done": JOB.format(state="done", fencing=0),
    "a job that was claimed": JOB.format(state="due", fencing=3),
    "a position": "INSERT INTO settlement_positionsettlement (run_id, contract_id, buyer_id, provider_id, outcome,"
    " evidence, metering, reference) SELECT run_id, contract_id, provider_id, buyer_id, outcome, evidence, '', ''"
    " FROM settlement_positionsettlement",
    "a frozen input": "INSERT INTO settlement_frozeninput (run_id, contract_id, content, digest)"
    " SELECT run_id, 77, content, digest FROM settlement_frozeninput",
    "unmatched usage": "INSERT INTO settlement_unmatchedusage (run_id, contract_id, buyer_id, provider_id, tokens,"
    " evidence) SELECT run_id, contract_id, buyer_id, provider_id, 1, '{}' FROM settlement_positionsettlement",
    "a right to make up": "INSERT INTO settlement_makeupuse (run_id, contract_id, source_contract_id, buyer_id,"
    " provider_id, tokens) SELECT run_id, contract_id, 1, buyer_id, provider_id, 1 FROM settlement_positionsettlement",
    "a job undone": "UPDATE settlement_settlementjob SET state = 'due'",
    "a job of something else": "UPDATE settlement_settlementjob SET subject_id = subject_id + 1",
    "no job": "DELETE FROM settlement_settlementjob",
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_the_application_cannot_write(market: DisputedDay, name: str) -> None:
    with pytest.raises(DatabaseError, match=f"{REFUSED}|permission denied"):
        run(FORGERIES[name])
    with pytest.raises(IntegrityError, match=REFUSED), connections["owner"].cursor() as owner:  # nor the owner
        owner.execute(FORGERIES[name])
    assert findings(audit()) == {}


def test_a_payment_is_not_born_paid(day: TradingDay) -> None:
    payments = PaymentDay(day)
    payments.sent(("provider-1", 10_000_000))
    for name in ("exported", "confirmed", "returned"):
        with pytest.raises(IntegrityError, match=REFUSED):
            run(
                "INSERT INTO settlement_paymentinstruction (netting_id, party_id, payout_account_id, micros,"
                " end_to_end_id, state, file_id, hold_transaction_id, paid_transaction_id, returned_transaction_id,"
                " bank_reference, return_reason, created_at, changed_at, changed_by) SELECT netting_id, %s,"
                " payout_account_id, 1, 'x', %s, file_id, 1, CASE %s WHEN 'confirmed' THEN 1 END,"
                " CASE %s WHEN 'returned' THEN 1 END, '', 'x', now(), now(), 'x' FROM settlement_paymentinstruction",
                [day.parties["provider-2"].pk, name, name, name],
            )


@pytest.fixture
def due(day: TradingDay) -> SettlementRun:
    """An open run whose only job is due."""
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    return create_run("CNY", START, END, RunKind.INITIAL, actor="operator", now=END + timedelta(hours=1))


def test_a_job_is_done_by_doing_it_alone(day: TradingDay, due: SettlementRun) -> None:
    for forgery in (DONE, f"{DONE}, fencing = 1", f"{RUNNING} + 1", "UPDATE settlement_settlementjob SET fencing = 1",
                    "UPDATE settlement_settlementjob SET state = 'running'"):  # fmt: skip
        with pytest.raises(IntegrityError):
            run(forgery)
    run(f"{RUNNING}, lease_until = now() - interval '1 second'")
    with pytest.raises(IntegrityError, match="cannot become done"):
        run(DONE)  # nothing was settled
    day.work_off()
    due.refresh_from_db()
    assert due.state == RunState.PUBLISHED
    with pytest.raises(IntegrityError):
        run("UPDATE settlement_settlementjob SET fencing = fencing + 1, state = 'running'")
    assert findings(audit()) == {}


def test_a_line_that_waits_in_a_transaction_keeps_its_run_open(day: TradingDay, due: SettlementRun) -> None:
    with connections["owner"].cursor() as other, transaction.atomic(using="owner"):
        other.execute(
            "INSERT INTO settlement_makeupuse (run_id, contract_id, source_contract_id, buyer_id, provider_id, tokens)"
            " VALUES (%s, 1, 1, 1, 1, 1)",
            [due.pk],
        )
        with pytest.raises(DatabaseError, match="lock timeout"):
            run("SET LOCAL lock_timeout = '100ms'; UPDATE settlement_settlementrun SET state = 'stating'")
        transaction.set_rollback(True, using="owner")


FOUND = {
    "a line of a published run": (
        "settlement.lines", LINE.format(amount=50_000_000), "that name no transaction come to 50000000"),
    "two lines that cancel out": (
        "settlement.lines", f"{LINE.format(amount=500)}; {LINE.format(amount=-500)}", "come to 1000"),
    "an upheld dispute": (
        "settlement.decisions", dispute(state="upheld", decision=DECIDED), "does not say that 'user:a' asked"),
    "a dispute of another's money": (
        "settlement.disputed_lines", dispute(payee="line.party_id + 1"), "not those of the line"),
    "a dispute of another line": ("settlement.disputed_lines", dispute(line=99), "not those of the line"),
    "a dispute of no line": ("settlement.disputed_lines", dispute(line=0), "not those of the line"),
    "a dispute of another kind": ("settlement.disputed_lines", dispute(kind="overage"), "not those of the line"),
    "a dispute of more than the line": ("settlement.disputed_lines", dispute(micros=10**12), "not those of the line"),
    "a confirmed payout account": ("settlement.decisions", ACCOUNT, "does not say that 'a' asked"),
    "confirmed force majeure": ("settlement.decisions", EXCUSE, "does not say that 'a' asked"),
    "a ruling": ("settlement.decisions", RULING, "does not say that 'user:a' asked"),
    "a frozen input gone": (
        "settlement.runs", "DELETE FROM settlement_frozeninput", "settled from nothing that was kept"),
    "another frozen input": (
        "settlement.runs", "UPDATE settlement_frozeninput SET content = content || ' '::bytea", "not what its digest"),
    "another frozen input with its digest": (
        "settlement.runs",
        "UPDATE settlement_frozeninput SET content = content || ' '::bytea, digest = sha256(content || ' '::bytea)",
        "its input digest is not over"),
    "a contract that is not settled": (
        "settlement.runs", "UPDATE exchange_contract SET state = 'delivered'", "it was settled, and is delivered"),
    "a job that was not done": (
        "settlement.runs", "UPDATE settlement_settlementjob SET state = 'due' WHERE step = 'settle'",
        "it is published, and its job to settle"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_the_owner_writes_behind_the_triggers_is_found(market: DisputedDay, name: str) -> None:
    check, statement, expected = FOUND[name]
    for each in statement.split(";"):
        tamper(market.database, each)
    told = findings(audit(check))
    assert told.keys() == {check}
    assert any(expected in detail for _, detail in told[check]), told


def test_a_run_whose_job_was_marked_done_is_found(day: TradingDay, due: SettlementRun, urls: DatabaseUrls) -> None:
    tamper(urls, DONE)
    tamper(urls, "UPDATE settlement_settlementrun SET state = 'published', published_at = now()")
    (told,) = findings(audit("settlement.runs")).values()
    assert [detail.partition(": ")[2] or detail for _, detail in told] == [
        "its input digest is not over what its contracts were settled from",
        "it was settled from nothing that was kept",
    ]


@pytest.fixture
def urls(database: DatabaseUrls) -> DatabaseUrls:
    return database


def test_what_two_persons_did_is_as_the_log_says(market: DisputedDay) -> None:
    """An honest decision has no finding; another IBAN, time or figure than was asked for has one."""
    PaymentDay(market.day).account("provider-1")
    opened = market.open()
    market.decide(opened, 12_345)
    opened.refresh_from_db()
    assert (opened.state, opened.proposed_by, opened.decided_by) == (DisputeState.UPHELD, ONE, TWO)
    assert findings(audit("settlement.decisions", "settlement.disputed_lines")) == {}
    tamper(market.database, "UPDATE settlement_payoutaccount SET iban = 'BE68539007547034'")
    tamper(market.database, "UPDATE settlement_dispute SET decided_micros = 12346")
    told = findings(audit("settlement.decisions"))["settlement.decisions"]
    account = PayoutAccount.objects.get()
    assert [subject for subject, _ in told] == [f"dispute {opened.pk}", f"payout account {account.pk}"]


def test_what_operators_excused_and_ruled_is_as_the_log_says(day: TradingDay, urls: DatabaseUrls) -> None:
    asked = request_force_majeure(
        RequestForceMajeure(day.parties["provider-1"].pk, START, END, "flood"), actor=ONE, now=END
    )
    confirm_force_majeure(asked.pk, actor=TWO, now=END)
    assert findings(audit("settlement.decisions")) == {}
    tamper(urls, "UPDATE settlement_forcemajeure SET starts_at = starts_at - interval '1 hour'")
    assert [subject for subject, _ in findings(audit())["settlement.decisions"]] == [f"force majeure {asked.pk}"]


def test_a_dispute_of_any_line_is_as_the_audit_wants_it(market: DisputedDay) -> None:
    kinds = set()
    for statement in Statement.objects.filter(run=market.run).exclude(party__kind="house"):
        lines = SettlementLine.objects.filter(run_id=market.run.pk, party_id=statement.party_id)
        for number, line in enumerate(lines.order_by("contract_place", "place"), start=1):
            with suppress(DomainError):  # no line to dispute, or more than was paid for the position
                most = max(abs(line.amount_micros), abs(line.value_micros))
                market.open(statement.party.code, number=number, micros=min(most, 20_000))
                kinds.add((statement.party.kind, line.kind))
    assert {("buyer", "delivered"), ("provider", "share"), ("provider", "provider_fee")} <= kinds
    assert findings(audit("settlement.disputed_lines", "settlement.lines", "settlement.runs")) == {}
