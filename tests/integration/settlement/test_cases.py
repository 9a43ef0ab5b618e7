from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from ledger.errors import AlreadyDecided, InvalidText, NeedsAnotherPerson, ReasonMissing
from ledger.models import ActionLog
from settlement.commands import state_in_case as stating
from settlement.commands.decide_ruling import confirm_ruling, reject_ruling
from settlement.commands.propose_ruling import ProposeRuling, propose_ruling
from settlement.commands.review_bias import ReviewBias, review_bias
from settlement.commands.state_in_case import StateInCase, state_in_case
from settlement.errors import CaseNotFound, NothingToRule, ToleranceNotZeroed, TooManyStatements, WrongCaseState
from settlement.metering.reconciling import reconcile_contract
from settlement.metering.records import Ruling
from settlement.models import CaseState, DiscrepancyCase, EventKind, ReconcileQueue
from settlement.selectors.cases import get_case, list_cases, list_entries, unsettled_cases
from tests.integration.settlement.trading_day import END, TradingDay
from tests.integration.settlement.usage_rows import UsageRows

NOW = END + timedelta(minutes=2)
LATER = NOW + timedelta(minutes=1)
ONE, TWO = "first operator", "second operator"


@pytest.fixture
def rows(day: TradingDay) -> UsageRows:
    day.clock.at = NOW
    return UsageRows(day)


@pytest.fixture
def case(day: TradingDay, rows: UsageRows) -> DiscrepancyCase:
    """The provider says twice what the buyer does."""
    rows.both("a", 200, 100)
    reconcile_contract(day.contract.id, now=NOW)
    return DiscrepancyCase.objects.get()


def state(case: DiscrepancyCase, party_id: int, text: str = "We counted again.") -> None:
    state_in_case(StateInCase(case.pk, party_id, text), actor="key:x", now=LATER)


def propose(case: DiscrepancyCase, ruling: Ruling = Ruling.BUYER) -> None:
    propose_ruling(ProposeRuling(case.pk, ruling, "The text was recounted."), actor=ONE, now=LATER)


def told(case: DiscrepancyCase) -> list[tuple[str, str | None, str]]:
    entries: Iterable[Any] = list_entries(case)
    return [(entry.kind, entry.party_code, entry.text) for entry in entries]


def test_a_case_goes_its_way_to_a_decision(case: DiscrepancyCase, day: TradingDay) -> None:
    state(case, case.provider_id, "Our count is right.")
    case.refresh_from_db()
    assert (case.state, case.changed_at) == (CaseState.ANSWERED, LATER)
    propose(case)
    state(case, case.buyer_id, "  Agreed.  ")
    case.refresh_from_db()
    assert (case.state, case.ruling, case.proposed_by) == (CaseState.PROPOSED, "buyer", ONE)
    reject_ruling(case.pk, "Look at the reasoning too.", actor=TWO, now=LATER)
    case.refresh_from_db()
    assert (case.state, case.ruling, case.proposed_by) == (CaseState.ANSWERED, "", "")
    propose(case, Ruling.PROVIDER)
    ReconcileQueue.objects.all().delete()
    confirm_ruling(case.pk, actor=TWO, now=LATER)
    case.refresh_from_db()
    assert (case.state, case.ruling, case.decided_by) == (CaseState.DECIDED, "provider", TWO)
    assert ReconcileQueue.objects.get().contract_id == day.contract.id
    assert told(case) == [
        ("found", None, ""),
        ("statement", "provider-1", "Our count is right."),
        ("proposal", None, "The text was recounted."),
        ("statement", "buyer-1", "Agreed."),
        ("rejection", None, "Look at the reasoning too."),
        ("proposal", None, "The text was recounted."),
        ("decision", None, ""),
    ]
    acts = ActionLog.objects.filter(subject=f"case:{case.pk}").order_by("id").values_list("actor", "action")
    assert list(acts) == [
        (ONE, "propose_ruling"),
        (TWO, "reject_ruling"),
        (ONE, "propose_ruling"),
        (TWO, "confirm_ruling"),
    ]


def test_a_clock_that_is_behind_does_not_turn_time_back(case: DiscrepancyCase) -> None:
    state_in_case(StateInCase(case.pk, case.buyer_id, "At once."), actor="key:x", now=NOW - timedelta(seconds=1))
    case.refresh_from_db()
    assert (case.state, case.changed_at) == (CaseState.ANSWERED, NOW)


def test_a_decided_case_is_closed_to_everybody(case: DiscrepancyCase) -> None:
    propose(case)
    confirm_ruling(case.pk, actor=TWO, now=LATER)
    with pytest.raises(WrongCaseState):
        state(case, case.buyer_id)
    with pytest.raises(WrongCaseState):
        propose(case)
    with pytest.raises(AlreadyDecided):
        confirm_ruling(case.pk, actor=TWO, now=LATER)
    with pytest.raises(AlreadyDecided):
        reject_ruling(case.pk, "No.", actor=TWO, now=LATER)


def test_nobody_decides_on_their_own_proposal_nor_without_one(case: DiscrepancyCase) -> None:
    with pytest.raises(WrongCaseState):
        confirm_ruling(case.pk, actor=TWO, now=LATER)
    propose(case)
    for actor in (ONE, ONE.upper()):
        with pytest.raises(NeedsAnotherPerson):
            confirm_ruling(case.pk, actor=actor, now=LATER)
        with pytest.raises(NeedsAnotherPerson):
            reject_ruling(case.pk, "No.", actor=actor, now=LATER)
    with pytest.raises(WrongCaseState):
        propose(case)


def test_only_the_two_sides_say_something_and_something_it_is(
    case: DiscrepancyCase, day: TradingDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CaseNotFound):
        state(case, day.parties["buyer-2"].id)
    with pytest.raises(CaseNotFound):
        state_in_case(StateInCase(case.pk + 1, case.buyer_id, "Hm."), actor="key:x", now=LATER)
    with pytest.raises(ReasonMissing):
        state(case, case.buyer_id, " \n ")
    for text in ("x" * 2_001, "half \ud800", "NUL \0"):
        with pytest.raises(InvalidText):
            state(case, case.buyer_id, text)
    monkeypatch.setattr(stating, "MAX_STATEMENTS", 2)
    state(case, case.buyer_id)
    state(case, case.buyer_id)
    state(case, case.provider_id)
    with pytest.raises(TooManyStatements):
        state(case, case.buyer_id)


def test_where_there_is_nothing_to_choose_from_only_the_minimum_is_ruled(day: TradingDay, rows: UsageRows) -> None:
    rows.keep("meter/provider-1", "a", kind=EventKind.STARTED)
    rows.both("agreed", 5, 5)
    reconcile_contract(day.contract.id, now=NOW)
    case = DiscrepancyCase.objects.get()
    for ruling in (Ruling.PROVIDER, Ruling.BUYER):
        with pytest.raises(NothingToRule):
            propose(case, ruling)
    propose(case, Ruling.MINIMUM)
    confirm_ruling(case.pk, actor=TWO, now=LATER)
    assert DiscrepancyCase.objects.get().state == CaseState.DECIDED


def test_a_proposal_needs_a_reason_and_so_does_a_rejection(case: DiscrepancyCase) -> None:
    with pytest.raises(ReasonMissing):
        propose_ruling(ProposeRuling(case.pk, Ruling.BUYER, " "), actor=ONE, now=LATER)
    propose(case)
    with pytest.raises(ReasonMissing):
        reject_ruling(case.pk, " ", actor=TWO, now=LATER)


def test_a_tolerance_that_was_not_taken_is_not_given_back(case: DiscrepancyCase, day: TradingDay) -> None:
    command = ReviewBias(case.provider_id, case.buyer_id, day.product.id, "Looked at.")
    with pytest.raises(ToleranceNotZeroed):
        review_bias(command, actor=ONE, now=LATER)


def test_a_case_is_seen_by_its_two_sides_and_by_nobody_elses(case: DiscrepancyCase, day: TradingDay) -> None:
    for code in ("buyer-1", "provider-1"):
        found: Any = get_case(case.pk, [day.parties[code].id])
        assert (found.symbol, found.buyer_code, found.provider_code) == (
            day.contract.symbol,
            "buyer-1",
            "provider-1",
        )
    with pytest.raises(CaseNotFound):
        get_case(case.pk, [day.parties["buyer-2"].id, day.parties["provider-2"].id])
    assert not list_cases([]).exists()
    assert unsettled_cases(day.contract.id) == {(case.buyer_id, case.provider_id): [case]}
    propose(case)
    confirm_ruling(case.pk, actor=TWO, now=LATER)
    assert unsettled_cases(day.contract.id) == {}
