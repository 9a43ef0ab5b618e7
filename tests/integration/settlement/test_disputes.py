"""A dispute from its opening to its end: the money, the evidence, who decides and who is told."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from ledger.chart import AccountKey, Role
from ledger.errors import (
    AlreadyDecided,
    InvalidAmount,
    InvalidText,
    NeedsAnotherPerson,
    NotFound,
    ReasonMissing,
)
from ledger.models import Account, ActionLog, Entry, Party, PartyKind, Transaction
from ledger.money import parse_micros
from ledger.parties.commands import register_party
from ledger.restrictions import _uses, freeze_account
from settlement.commands.add_to_dispute import add_to_dispute
from settlement.commands.decide_dispute import decide_dispute
from settlement.commands.propose_dispute import propose_dispute
from settlement.commands.withdraw_dispute import withdraw_dispute
from settlement.disputes.account_uses import open_disputes
from settlement.disputes.errors import (
    DisputeExists,
    DisputeNotFound,
    DisputesExceedPosition,
    DisputeTooLate,
    DisputeWithdrawnTooOften,
    EvidenceMismatch,
    EvidenceTooLarge,
    LineNotDisputable,
    WrongDisputeState,
)
from settlement.disputes.evidence import EvidenceFile, NamedRecord
from settlement.disputes.frozen import FrozenDispute, dispute_lines
from settlement.disputes.lines import find_line
from settlement.disputes.rules import MAX_AGAIN, MAX_FILE_BYTES, MAX_FILES
from settlement.disputes.settling import settle_dispute
from settlement.models import Dispute, DisputeEvidence, DisputeState, PartyNotice, RunKind, RunState, UsageEvent
from settlement.runs.errors import RunNotPublished
from settlement.selectors.disputes import (
    disputes_to_settle,
    frozen_dispute,
    get_dispute,
    get_evidence,
    has_open_dispute,
    list_dispute_entries,
    list_disputes,
    list_notices,
)
from settlement.statements.jws import records_file
from tests.audits import audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.settlement.disputed_day import FILE, KEY, ONE, TWO, DisputedDay, disputed_day
from tests.integration.settlement.trading_day import ACTOR, NOW, TradingDay
from tests.two_operators import withdraw

HALF = 168_000
WHOLE = 336_000


@pytest.fixture
def market(day: TradingDay, database: DatabaseUrls) -> DisputedDay:
    return disputed_day(day, database)


def test_what_is_disputed_lies_in_suspense_while_the_rest_stays_paid(market: DisputedDay) -> None:
    before = {code: market.day.balance(code) for code in market.day.parties}
    dispute = market.open(micros=HALF)
    after = {code: market.day.balance(code) for code in market.day.parties}
    assert after == before | {"provider-1": before["provider-1"] - HALF}
    assert market.suspense() == dispute.suspended_micros == HALF
    assert (dispute.state, dispute.line_kind, dispute.payee_id) == (
        DisputeState.OPEN,
        "delivered",
        market.party_id("provider-1"),
    )
    assert dispute.decide_by == market.now + timedelta(days=30)
    assert has_open_dispute(market.day.contract.pk)
    assert findings(audit()) == {}


def test_an_upheld_dispute_waits_for_its_run_and_leaves_no_suspense(market: DisputedDay) -> None:
    dispute = market.open(micros=HALF)
    before = {code: market.day.balance(code) for code in market.day.parties}
    market.decide(dispute, 100_000)
    assert market.suspense() == HALF
    assert {code: market.day.balance(code) for code in market.day.parties} == before
    assert disputes_to_settle() == [dispute]
    frozen = frozen_dispute(dispute.pk)
    assert frozen == FrozenDispute(
        dispute.pk, "buyer-1", "provider-1", "buyer-1", "provider-1", "cash", "delivered", 100_000, HALF
    )
    assert has_open_dispute(market.day.contract.pk)
    for _ in range(2):  # a job that is done again settles nothing twice
        settled = settle_dispute(dispute.pk, actor="settlement", now=market.now)
        assert (settled.state, settled.decided_micros) == (DisputeState.SETTLED, 100_000)
    assert market.suspense() == 0
    assert {code: market.day.balance(code) for code in market.day.parties} == before | {
        "provider-1": before["provider-1"] + HALF - 100_000,
        "buyer-1": before["buyer-1"] + 100_000,
    }
    assert not has_open_dispute(market.day.contract.pk)
    check_lines(market, frozen)
    assert findings(audit()) == {}


def check_lines(market: DisputedDay, frozen: FrozenDispute) -> None:
    """The lines of statements sum to the legs of the one transaction, party by party and ref by ref."""
    assert FrozenDispute.from_json(json.loads(json.dumps(frozen.to_json()))) == frozen
    posted = Transaction.objects.get(kind="dispute_settle")
    legs: Counter[tuple[str, str]] = Counter()
    for entry in Entry.objects.filter(transaction_id=posted.pk).exclude(ref__in=["debt", "claim"]):
        account = Account.objects.select_related("party").get(id=entry.account_id)
        if account.role not in (Role.SUSPENSE, Role.HELD_SHARE):
            legs[account.party.code, entry.ref] += entry.amount
    lines = dispute_lines(frozen)
    assert {line.reference for line in lines} == {posted.reference}
    assert {(line.party, line.ref): line.amount_micros for line in lines} == dict(legs)


def test_a_rejected_and_a_withdrawn_dispute_give_the_money_back_at_once(market: DisputedDay) -> None:
    before = market.day.balance("provider-1")
    rejected = market.open(micros=HALF)
    decided = market.decide(rejected, 0)
    assert (decided.state, market.suspense(), market.day.balance("provider-1")) == ("rejected", 0, before)
    with pytest.raises(DisputeExists):  # what was decided is not asked again
        market.open(micros=HALF)
    withdrawn = market.open(kind="take_or_pay", micros=20_000)
    withdraw_dispute(withdrawn.pk, "We found it.", party_id=market.party_id("buyer-1"), actor=KEY, now=market.now)
    assert (market.suspense(), market.day.balance("provider-1")) == (0, before)
    again = market.open(kind="take_or_pay", micros=37_800)
    assert again.pk != withdrawn.pk
    assert market.suspense() == 37_800
    assert disputes_to_settle() == []
    assert findings(audit()) == {}


@pytest.mark.parametrize(
    ("code", "kind", "payee", "role", "most"),
    [
        ("buyer-1", "delivered", "provider-1", Role.CASH, WHOLE),
        ("buyer-1", "take_or_pay", "provider-1", Role.CASH, 37_800),
        ("buyer-1", "damages", "provider-1", Role.CASH, 10_500),
        ("buyer-1", "refund_unused", "provider-1", Role.CASH, 25_200),
        ("provider-1", "delivered", "buyer-1", Role.CASH, WHOLE),
        ("provider-1", "short", "buyer-1", Role.CASH, 21_000),
        ("provider-1", "share", "grid-compute", Role.CASH, 260_875),
        ("model-lab", "share", "provider-1", Role.CASH, 74_536),
    ],
)
def test_the_other_side_of_a_line_is_who_has_the_money(
    market: DisputedDay, code: str, kind: str, payee: str, role: Role, most: int
) -> None:
    before = market.day.balance(payee, role)
    with pytest.raises(LineNotDisputable):
        market.open(code, kind, most + 1)
    dispute = market.open(code, kind, most)
    assert dispute.payee_id == market.party_id(payee)
    assert (dispute.buyer_id, dispute.provider_id) == (market.party_id("buyer-1"), market.party_id("provider-1"))
    assert before - market.day.balance(payee, role) == dispute.suspended_micros == market.suspense() == most
    market.decide(dispute, 0)
    assert market.day.balance(payee, role) == before
    assert findings(audit()) == {}


def test_a_fee_is_disputed_with_the_house(market: DisputedDay) -> None:
    before = market.day.balance("house", Role.FEES)
    dispute = market.open("provider-1", "provider_fee", 1_121)  # below the minimum, but all there is
    assert dispute.payee_id == market.party_id("house")
    assert market.day.balance("house", Role.FEES) == before - 1_121
    market.decide(dispute, 1_121)
    settle_dispute(dispute.pk, actor="settlement", now=market.now)
    assert (market.day.balance("house", Role.FEES), market.suspense()) == (before - 1_121, 0)
    check_lines(market, frozen_dispute(dispute.pk))
    assert findings(audit()) == {}


def test_of_a_payee_without_cash_only_what_it_has_is_suspended(market: DisputedDay) -> None:
    provider = market.day.parties["provider-1"]
    free = market.day.balance("provider-1") - market.day.held("provider-1")
    withdraw(provider.pk, market.day.currency_id, free - 1_000, reference="most", now=market.day.clock.at)
    dispute = market.open(micros=HALF)
    assert (dispute.suspended_micros, market.suspense()) == (1_000, 1_000)
    assert market.day.held("provider-1") > 0  # the bond stays as it is, and secures the rest
    market.decide(dispute, HALF)
    settle_dispute(dispute.pk, actor="settlement", now=market.now)
    assert (market.suspense(), market.day.balance("provider-1", Role.DEBT)) == (0, 1_000 - HALF)
    assert market.day.balance("buyer-1", Role.CLAIM, "provider-1") == HALF - 1_000
    check_lines(market, frozen_dispute(dispute.pk))
    assert findings(audit()) == {}


def test_a_frozen_payee_gives_nothing_and_the_dispute_stands(market: DisputedDay) -> None:
    cash = AccountKey(market.party_id("provider-1"), market.day.currency_id, Role.CASH)
    freeze_account(cash, actor=ONE, reason="court order", now=market.now)
    dispute = market.open(micros=HALF)
    assert (dispute.suspended_micros, market.suspense(), dispute.state) == (0, 0, "open")
    assert market.decide(dispute, 0).state == DisputeState.REJECTED
    assert findings(audit()) == {}


def test_an_account_of_a_dispute_is_needed_until_it_is_over(market: DisputedDay) -> None:
    keys = [AccountKey(market.party_id(code), market.day.currency_id, Role.CASH) for code in ("buyer-1", "provider-1")]
    stranger = AccountKey(market.party_id("buyer-2"), market.day.currency_id, Role.CASH)
    assert [open_disputes(key) for key in keys] == ["", ""]
    dispute = market.open(micros=HALF)
    assert all(open_disputes(key) for key in keys)
    assert not open_disputes(stranger)
    assert not open_disputes(keys[0]._replace(role=Role.CLAIM))
    market.decide(dispute, HALF)
    assert all(open_disputes(key) for key in keys)
    settle_dispute(dispute.pk, actor="settlement", now=market.now)
    assert [open_disputes(key) for key in keys] == ["", ""]
    assert "settlement.disputes" in _uses


def test_who_may_not_dispute_what(market: DisputedDay) -> None:
    theirs = market.statement("provider-1")
    with pytest.raises(NotFound):  # another party's statement is no statement
        market.open(statement=theirs, number=1)
    with pytest.raises(NotFound):
        market.open(party_id=market.party_id("buyer-2"))
    lines = market.number("buyer-1", "damages") + 1
    for number in (0, -1, lines, lines + 1, 2**62):  # the meters' record follows the last line
        with pytest.raises(LineNotDisputable):
            market.open(statement=market.statement("buyer-1"), number=number or -2)
    with pytest.raises(LineNotDisputable):
        market.open("house", "provider_fee", 1_121)
    assert not Dispute.objects.exists()


def test_a_number_on_the_statement_is_that_line_and_a_meters_record_is_none(market: DisputedDay) -> None:
    statement = market.statement("buyer-1")
    records = [json.loads(line) for line in b"".join(records_file(statement)).splitlines()]
    assert {record["record"] for record in records} >= {"line", "metering"}
    for record in records:
        if record["record"] == "line":
            found = find_line(statement, record["number"])
            value = abs(parse_micros(record["body"]["value"]))
            amount = abs(parse_micros(record["body"]["amount"]))
            assert (found.kind, found.most_micros) == (record["body"]["kind"], max(value, amount))
        else:
            with pytest.raises(LineNotDisputable, match="no line"):
                market.open(statement=statement, number=record["number"], micros=10_000)
    assert not Dispute.objects.exists()


def test_too_much_too_little_and_too_late(market: DisputedDay) -> None:
    for micros in (0, -1, 9_999):
        with pytest.raises(InvalidAmount):
            market.open(micros=micros)
    with pytest.raises(LineNotDisputable):
        market.open(micros=WHOLE + 1)
    for late in (timedelta(), timedelta(seconds=1), timedelta(days=400)):
        with pytest.raises(DisputeTooLate):
            market.open(now=market.until + late)
    assert not Dispute.objects.exists()
    market.open(micros=10_000, now=market.until - timedelta(microseconds=1))


def test_an_indicative_and_an_unpublished_statement_are_not_disputed(market: DisputedDay) -> None:
    tamper(market.database, "UPDATE settlement_settlementrun SET state = 'stating', published_at = NULL")
    with pytest.raises(RunNotPublished):
        market.open()
    tamper(market.database, "UPDATE settlement_settlementrun SET kind = %s", [RunKind.INDICATIVE.value])
    with pytest.raises(LineNotDisputable, match="indicative"):
        market.open()
    tamper(
        market.database,
        "UPDATE settlement_settlementrun SET kind = 'initial', state = %s, published_at = now(), dispute_until = NULL",
        [RunState.PUBLISHED.value],
    )
    with pytest.raises(DisputeTooLate):
        market.open()
    assert not Dispute.objects.exists()


def test_a_line_is_disputed_once_at_a_time(market: DisputedDay) -> None:
    first = market.open(micros=HALF)
    for micros in (HALF, 10_000):
        with pytest.raises(DisputeExists):
            market.open(micros=micros)
    market.decide(first, HALF)
    with pytest.raises(DisputeExists):
        market.open(micros=10_000)
    settle_dispute(first.pk, actor="settlement", now=market.now)
    with pytest.raises(DisputeExists, match="decided"):
        market.open(micros=10_000)
    assert market.suspense() == 0


def test_words_and_reasons(market: DisputedDay) -> None:
    with pytest.raises(ReasonMissing):
        market.open(text=" \n")
    with pytest.raises(ReasonMissing):
        market.open(reason="mood")
    for text in ("x" * 4_001, "half \ud800", "NUL \0"):
        with pytest.raises(InvalidText):
            market.open(text=text)
    assert not Dispute.objects.exists()


def test_evidence_is_what_it_says_it_is(market: DisputedDay) -> None:
    digest = hashlib.sha256(FILE.content).digest()
    refused: list[tuple[tuple[EvidenceFile, ...], type[Exception]]] = [
        ((replace(FILE, digest=bytes(32)),), EvidenceMismatch),
        ((replace(FILE, digest=digest[:31]),), EvidenceMismatch),
        ((replace(FILE, content=b""),), EvidenceTooLarge),
        ((replace(FILE, content=bytes(MAX_FILE_BYTES + 1)),), EvidenceTooLarge),
        ((FILE,) * (MAX_FILES + 1), EvidenceTooLarge),
        ((replace(FILE, name="../etc/passwd"),), InvalidText),
        ((replace(FILE, name="a\r\nSet-Cookie: b"),), InvalidText),
        ((replace(FILE, name=" "),), InvalidText),
        ((replace(FILE, media_type="text/html; charset=utf-8\r\n"),), InvalidText),
    ]
    for files, error in refused:
        with pytest.raises(error):
            market.open(files=files)
    assert not Dispute.objects.exists()
    dispute = market.open(files=(replace(FILE, digest=digest), FILE))
    (kept,) = DisputeEvidence.objects.all()
    assert (bytes(kept.content), bytes(kept.digest)) == (FILE.content, digest)
    for code in ("buyer-1", "provider-1"):
        assert get_evidence(dispute.pk, kept.pk, [market.party_id(code)]) == kept
    with pytest.raises(DisputeNotFound):
        get_evidence(dispute.pk, kept.pk, [market.party_id("buyer-2")])


def test_usage_records_are_named_by_their_meter_and_hold_by_their_hash(market: DisputedDay) -> None:
    event = UsageEvent.objects.filter(request_id="r1").first()
    assert event is not None
    mine = NamedRecord("meter/buyer-1", "r1", bytes(event.content_hash))
    theirs = NamedRecord("meter/provider-1", "refused-1")
    forged = [
        replace(mine, content_hash=bytes(32)),
        NamedRecord("meter/buyer-1", "r-none"),
        NamedRecord("meter/nobody", "r1"),
    ]
    for record in forged:
        with pytest.raises(EvidenceMismatch):
            market.open(usage_records=[mine, record])
    with pytest.raises(InvalidText):
        market.open(usage_records=[NamedRecord("meter/buyer-1", "r\0")])
    with pytest.raises(EvidenceTooLarge):
        market.open(usage_records=[mine] * 101)
    assert not Dispute.objects.exists()
    dispute = market.open(files=(), usage_records=[theirs, mine, theirs])
    (entry,) = list_dispute_entries(dispute)
    assert [(each["meter"], each["id"]) for each in entry.details["usage_records"]] == [
        ("meter/provider-1", "refused-1"),
        ("meter/buyer-1", "r1"),
    ]
    assert entry.details["usage_records"][1]["content_hash"] == bytes(event.content_hash).hex()


def test_both_sides_add_until_it_is_decided_and_nobody_else(market: DisputedDay) -> None:
    dispute = market.open()

    def add(code: str, text: str = "More.", files: tuple[EvidenceFile, ...] = ()) -> None:
        add_to_dispute(dispute.pk, text, files, party_id=market.party_id(code), actor=KEY, now=market.now)

    add("provider-1", "Our meter saw it all.", (FILE,))
    add("buyer-1")
    for stranger in ("buyer-2", "provider-2", "house", "grid-compute"):
        with pytest.raises(DisputeNotFound):
            add(stranger)
    with pytest.raises(DisputeNotFound):
        withdraw_dispute(dispute.pk, "No.", party_id=market.party_id("provider-1"), actor=KEY, now=market.now)
    propose_dispute(dispute.pk, 1, "A little.", actor=ONE, now=market.now)
    add("buyer-1", "After the proposal.")
    decide_dispute(dispute.pk, 1, "Yes.", actor=TWO, now=market.now)
    with pytest.raises(WrongDisputeState):
        add("buyer-1")
    with pytest.raises(WrongDisputeState):
        withdraw_dispute(dispute.pk, "No.", party_id=market.party_id("buyer-1"), actor=KEY, now=market.now)
    entries = [(entry.sequence, entry.kind) for entry in list_dispute_entries(dispute)]
    assert entries == [
        (1, "opened"),
        (2, "evidence"),
        (3, "statement"),
        (4, "proposal"),
        (5, "statement"),
        (6, "decision"),
    ]


def test_two_people_decide_and_only_on_the_figure_that_both_saw(market: DisputedDay) -> None:
    dispute = market.open(micros=HALF)
    with pytest.raises(WrongDisputeState):
        decide_dispute(dispute.pk, 1, "At once.", actor=TWO, now=market.now)
    for micros in (-1, HALF + 1):
        with pytest.raises(InvalidAmount):
            propose_dispute(dispute.pk, micros, "Much.", actor=ONE, now=market.now)
    propose_dispute(dispute.pk, 50_000, "Some.", actor=ONE, now=market.now)
    for actor in (ONE, ONE.upper()):
        for figure in (50_000, None):
            with pytest.raises(NeedsAnotherPerson):
                decide_dispute(dispute.pk, figure, "Mine.", actor=actor, now=market.now)
    with pytest.raises(WrongDisputeState):
        decide_dispute(dispute.pk, HALF, "More.", actor=TWO, now=market.now)
    with pytest.raises(WrongDisputeState):
        propose_dispute(dispute.pk, HALF, "Again.", actor=TWO, now=market.now)
    back = decide_dispute(dispute.pk, None, "Look again.", actor=TWO, now=market.now)
    assert (back.state, back.decided_micros, back.proposed_by) == ("open", None, "")
    propose_dispute(dispute.pk, HALF, "All.", actor=TWO, now=market.now)
    assert decide_dispute(dispute.pk, HALF, "Yes.", actor=ONE, now=market.now).state == DisputeState.UPHELD
    with pytest.raises(AlreadyDecided):
        decide_dispute(dispute.pk, HALF, "Yes.", actor=ONE, now=market.now)
    acts = ActionLog.objects.filter(subject=f"dispute:{dispute.pk}").order_by("id").values_list("actor", "action")
    assert list(acts) == [
        (KEY, "open_dispute"),
        (ONE, "propose_dispute"),
        (TWO, "send_dispute_back"),
        (TWO, "propose_dispute"),
        (ONE, "decide_dispute"),
    ]


def test_what_a_party_disputes_of_a_position_never_exceeds_what_was_paid_for_it(market: DisputedDay) -> None:
    """420,000 was paid; the buyer's lines alone are worth 430,500."""
    kinds = {"delivered": 336_000, "take_or_pay": 37_800, "refund_unused": 25_200, "refund_short": 21_000}
    opened = [market.open(kind=kind, micros=micros) for kind, micros in kinds.items()]
    assert sum(dispute.disputed_micros for dispute in opened) == 420_000
    with pytest.raises(DisputesExceedPosition) as refused:
        market.open(kind="damages", micros=10_500)
    assert refused.value.fields["maximum"] == "0.420000"
    assert (market.suspense(), Dispute.objects.count()) == (420_000, 4)
    market.open("provider-1", "delivered", 336_000)  # what one side disputes takes no time from the other
    market.decide(opened[3], 0)
    market.open(kind="damages", micros=10_500)
    assert findings(audit("settlement.suspense", "settlement.suspensions")) == {}


def test_a_line_is_disputed_again_after_a_withdrawal_three_times(market: DisputedDay) -> None:
    buyer = market.party_id("buyer-1")
    for _ in range(1 + MAX_AGAIN):
        withdraw_dispute(market.open().pk, "Well.", party_id=buyer, actor=KEY, now=market.now)
    with pytest.raises(DisputeWithdrawnTooOften):
        market.open()
    assert (Dispute.objects.count(), market.suspense()) == (4, 0)
    assert market.open(kind="take_or_pay", micros=10_000).state == DisputeState.OPEN  # another line


def test_who_opened_a_dispute_neither_proposes_nor_decides_it(market: DisputedDay) -> None:
    dispute = market.open(micros=HALF, actor=ONE)
    for actor in (ONE, ONE.upper()):
        with pytest.raises(NeedsAnotherPerson):
            propose_dispute(dispute.pk, HALF, "Mine.", actor=actor, now=market.now)
    propose_dispute(dispute.pk, HALF, "Theirs.", actor=TWO, now=market.now)
    for figure in (HALF, None):
        with pytest.raises(NeedsAnotherPerson):
            decide_dispute(dispute.pk, figure, "Mine.", actor=ONE, now=market.now)
    assert decide_dispute(dispute.pk, HALF, "Yes.", actor="a third", now=market.now).state == DisputeState.UPHELD


def test_everybody_concerned_is_told_once(market: DisputedDay) -> None:
    auditor = register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW)
    dispute = market.open(micros=HALF)
    market.decide(dispute, HALF)
    settle_dispute(dispute.pk, actor="settlement", now=market.now)
    concerned = {"buyer-1", "provider-1", "house", "auditor"}
    for kind in ("dispute_opened", "dispute_decided", "dispute_settled"):
        told = PartyNotice.objects.filter(kind=kind).values_list("party__code", flat=True)
        assert sorted(told) == sorted(concerned)
    opened = list_notices([auditor.pk]).last()
    assert opened is not None
    assert "buyer-1 disputes 0.168000 of a line for delivered" in opened.text
    assert not list_notices([market.party_id("buyer-2")]).exists()
    assert [get_dispute(dispute.pk, [market.party_id(code)]).pk for code in ("buyer-1", "provider-1")]
    assert not list_disputes([market.party_id("buyer-2"), market.party_id("grid-compute")]).exists()
    assert Party.objects.filter(code="auditor").exists()


def test_the_audit_finds_suspense_that_nobody_disputes_and_forged_evidence(market: DisputedDay) -> None:
    dispute = market.open(micros=HALF)
    tamper(market.database, "UPDATE settlement_dispute SET suspended_micros = 1")
    found = found_by(audit("settlement.suspense", "settlement.suspensions", "settlement.evidence"))
    assert found == {
        "settlement.suspense": [f"contract {market.day.contract.symbol}"],
        "settlement.suspensions": [f"dispute {dispute.pk}"],
    }
    tamper(market.database, "UPDATE settlement_dispute SET suspended_micros = 168000, state = 'withdrawn'")
    assert list(found_by(audit("settlement.suspense", "settlement.suspensions"))) == ["settlement.suspense"]
    tamper(market.database, "UPDATE settlement_dispute SET state = 'open'")
    tamper(market.database, "UPDATE settlement_disputeevidence SET content = 'other'")
    told = findings(audit("settlement.suspense", "settlement.suspensions", "settlement.evidence"))
    (file,) = DisputeEvidence.objects.all()
    detail = f"file {file.pk} is not what its digest says"
    assert told == {"settlement.evidence": [(f"dispute {dispute.pk}", detail)]}
