"""Settlement calendars and force majeure: who may set them, and what is refused."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from exchange.errors import UnknownProduct
from ledger.errors import InvalidText, NeedsAnotherPerson, NotFound, ReasonMissing
from ledger.models import ActionLog
from settlement.commands.decide_force_majeure import confirm_force_majeure, refuse_force_majeure
from settlement.commands.request_force_majeure import RequestForceMajeure, request_force_majeure
from settlement.commands.set_settlement_calendar import SetSettlementCalendar, set_settlement_calendar
from settlement.errors import InvalidPeriod, RequestNotOpen
from settlement.models import (
    ForceMajeure,
    JobState,
    RequestState,
    RunKind,
    SettlementCalendar,
    SettlementJob,
    SettlementRun,
)
from settlement.runs.errors import HoldsReleased, InvalidCalendar
from settlement.runs.sweep import sweep
from tests.audits import audit, findings
from tests.integration.settlement.test_final_run import sell_and_deliver
from tests.integration.settlement.trading_day import CODE, END, NOW, START, TradingDay, refusal, requests
from tests.two_operators import FIRST, SECOND

HOUR = timedelta(hours=1)
HOURLY = SetSettlementCalendar(
    product_code=CODE,
    period_minutes=60,
    indicative_lag_minutes=None,
    initial_lag_minutes=60,
    final_lag_minutes=120,
    true_up_lag_minutes=None,
    dispute_minutes=60,
)
CALENDAR = SetSettlementCalendar(
    product_code=CODE,
    period_minutes=360,
    indicative_lag_minutes=15,
    initial_lag_minutes=60,
    final_lag_minutes=1_440,
    true_up_lag_minutes=51_840,
    dispute_minutes=2_880,
)


def test_each_calendar_is_the_next_version_of_its_product(day: TradingDay) -> None:
    first = set_settlement_calendar(CALENDAR, actor=FIRST, now=NOW)
    later = NOW + timedelta(hours=1)
    bare = replace(CALENDAR, indicative_lag_minutes=None, true_up_lag_minutes=None)
    second = set_settlement_calendar(bare, actor=SECOND, now=later)
    kept = SettlementCalendar.objects.get(pk=first.pk)
    assert {name: getattr(kept, name) for name in asdict(CALENDAR) if name != "product_code"} == {
        name: figure for name, figure in asdict(CALENDAR).items() if name != "product_code"
    }
    assert [(each.version, each.created_by, each.created_at) for each in (kept, second)] == [
        (1, FIRST, NOW), (2, SECOND, later),
    ]  # fmt: skip
    told = ActionLog.objects.filter(action="set_settlement_calendar").order_by("id")
    assert [(act.subject, act.details["version"]) for act in told] == [(f"product:{CODE}", 1), (f"product:{CODE}", 2)]


@pytest.mark.parametrize(
    ("field", "minutes"),
    [
        ("period_minutes", 0),
        ("period_minutes", 7),
        ("period_minutes", 2_880),
        ("initial_lag_minutes", -1),
        ("indicative_lag_minutes", 60),
        ("indicative_lag_minutes", -1),
        ("final_lag_minutes", 60),
        ("final_lag_minutes", 400 * 1_440 + 1),
        ("true_up_lag_minutes", 1_440),
        ("dispute_minutes", -1),
    ],
)
def test_a_calendar_that_contradicts_itself_is_refused_by_the_field(day: TradingDay, field: str, minutes: int) -> None:
    with pytest.raises(InvalidCalendar) as refused:
        set_settlement_calendar(SetSettlementCalendar(**asdict(CALENDAR) | {field: minutes}), actor=FIRST, now=NOW)
    assert refused.value.fields["field"] == field
    assert not SettlementCalendar.objects.exists()


def test_a_calendar_needs_a_product(day: TradingDay) -> None:
    with pytest.raises(UnknownProduct):
        set_settlement_calendar(replace(CALENDAR, product_code="NO-SUCH"), actor=FIRST, now=NOW)


def asked(day: TradingDay, product_code: str = "") -> ForceMajeure:
    return request_force_majeure(command(day, product_code), actor=FIRST, now=NOW)


def command(day: TradingDay, product_code: str = "") -> RequestForceMajeure:
    provider = day.parties["provider-1"].pk
    return RequestForceMajeure(provider, START, START + timedelta(minutes=30), "The grid failed.", product_code)


def test_force_majeure_takes_another_person_and_is_decided_once(day: TradingDay) -> None:
    request = asked(day, CODE)
    assert (request.state, request.product.code if request.product else "") == (RequestState.REQUESTED, CODE)
    for actor in (FIRST, FIRST.upper()):
        with pytest.raises(NeedsAnotherPerson):
            confirm_force_majeure(request.pk, actor=actor, now=NOW)
        with pytest.raises(NeedsAnotherPerson):
            refuse_force_majeure(request.pk, "No.", actor=actor, now=NOW)
    done = confirm_force_majeure(request.pk, actor=SECOND, now=NOW)
    assert (done.state, done.decided_by, done.decided_at) == (RequestState.CONFIRMED, SECOND, NOW)
    with pytest.raises(RequestNotOpen):
        confirm_force_majeure(request.pk, actor=SECOND, now=NOW)
    with pytest.raises(RequestNotOpen):
        refuse_force_majeure(request.pk, "Too late.", actor=SECOND, now=NOW)
    told = ActionLog.objects.filter(subject=f"force_majeure:{request.pk}").order_by("id")
    assert [(act.actor, act.action) for act in told] == [
        (FIRST, "request_force_majeure"), (SECOND, "confirm_force_majeure"),
    ]  # fmt: skip


def test_force_majeure_is_refused_for_a_reason(day: TradingDay) -> None:
    request = asked(day)
    with pytest.raises(ReasonMissing):
        refuse_force_majeure(request.pk, " ", actor=SECOND, now=NOW)
    assert refuse_force_majeure(request.pk, "It was maintenance.", actor=SECOND, now=NOW).state == RequestState.REFUSED
    assert ActionLog.objects.get(action="refuse_force_majeure").reason == "It was maintenance."
    with pytest.raises(NotFound):
        confirm_force_majeure(request.pk + 1, actor=SECOND, now=NOW)


def test_a_request_for_force_majeure_is_checked(day: TradingDay) -> None:
    good = command(day)
    second = timedelta(seconds=1)
    wrong = {
        "starts_at": replace(good, starts_at=START + second),
        "ends_at": replace(good, ends_at=START),
    }
    for field, each in wrong.items():
        with pytest.raises(InvalidPeriod) as refused:
            request_force_majeure(each, actor=FIRST, now=NOW)
        assert refused.value.fields["field"] == field
    with pytest.raises(InvalidPeriod):
        request_force_majeure(replace(good, ends_at=START + timedelta(days=367)), actor=FIRST, now=NOW)
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)  # no date is after it
    with pytest.raises(InvalidPeriod):
        request_force_majeure(replace(good, starts_at=first, ends_at=last), actor=FIRST, now=NOW)
    request_force_majeure(replace(good, starts_at=last - timedelta(days=9), ends_at=last), actor=FIRST, now=NOW)
    with pytest.raises(ReasonMissing):
        request_force_majeure(replace(good, reason=" "), actor=FIRST, now=NOW)
    with pytest.raises(InvalidText):
        request_force_majeure(replace(good, reason="x" * 2_001), actor=FIRST, now=NOW)
    with pytest.raises(NotFound):
        request_force_majeure(replace(good, provider_id=day.parties["buyer-1"].pk), actor=FIRST, now=NOW)
    with pytest.raises(UnknownProduct):
        request_force_majeure(replace(good, product_code="NO-SUCH"), actor=FIRST, now=NOW)
    assert ForceMajeure.objects.count() == 1


def go(day: TradingDay, at: datetime) -> list[tuple[str, str]]:
    """Sweep at an instant until nothing more is due; the runs that there are."""
    day.clock.at = at
    for _ in range(4):
        sweep(day.clock.at, ring=lambda _: None)
        day.work_off()
    assert not SettlementJob.objects.exclude(state=JobState.DONE).exists()
    return list(SettlementRun.objects.order_by("id").values_list("kind", "state"))


def test_a_contract_whose_gate_has_closed_keeps_its_calendar(day: TradingDay) -> None:
    set_settlement_calendar(HOURLY, actor=FIRST, now=NOW)
    later = day.list_window(END + 6 * HOUR)
    sell_and_deliver(day)
    day.report("provider-1", requests(80_000))
    at_once = replace(HOURLY, initial_lag_minutes=0, final_lag_minutes=1, dispute_minutes=0)
    second = set_settlement_calendar(at_once, actor=FIRST, now=END)
    assert go(day, END + timedelta(minutes=59)) == []
    assert go(day, END + HOUR) == [("initial", "published")]
    assert SettlementRun.objects.get().dispute_until == END + 2 * HOUR
    day.deliver(END + 7 * HOUR)  # whose gate closes under the new one
    assert later.gate_close > END
    go(day, END + 7 * HOUR)
    assert SettlementRun.objects.get(period_end=END + 7 * HOUR).calendar == second


def test_two_calendars_may_settle_contracts_of_one_period_apart(day: TradingDay) -> None:
    """The gates of two windows that end within the same two hours close before and after a change."""
    first = set_settlement_calendar(replace(HOURLY, period_minutes=120), actor=FIRST, now=NOW)
    later = day.list_window(END)
    day.sweep_contracts()
    sell_and_deliver(day)
    changed = replace(HOURLY, period_minutes=120, initial_lag_minutes=30)
    second = set_settlement_calendar(changed, actor=FIRST, now=later.gate_close - timedelta(minutes=1))
    day.deliver(END + HOUR)
    go(day, END + HOUR + timedelta(minutes=30))
    go(day, END + 2 * HOUR)
    runs = SettlementRun.objects.order_by("id")
    assert [(run.calendar, run.sequence) for run in runs] == [(second, 1), (first, 2)]
    covered = [run.contracts.values_list("contract_id", flat=True).get() for run in runs]
    assert covered == [later.pk, day.contract.pk]
    assert sorted(kind for kind, _ in go(day, END + 3 * HOUR)) == ["final", "final", "initial", "initial"]
    assert findings(audit()) == {}


def test_after_the_release_a_new_calendar_brings_neither_usage_nor_a_run(day: TradingDay) -> None:
    set_settlement_calendar(HOURLY, actor=FIRST, now=NOW)
    sell_and_deliver(day)
    day.report("provider-1", requests(80_000))
    for hours in (1, 2, 4):
        go(day, END + hours * HOUR)
    assert day.held("provider-1") == 0
    set_settlement_calendar(replace(HOURLY, true_up_lag_minutes=600), actor=FIRST, now=day.clock.at)
    check_over(day)


def test_after_the_release_new_settings_bring_neither_usage_nor_a_run(day: TradingDay) -> None:
    with override_settings(SETTLEMENT_PERIOD_SECONDS=3_600):
        sell_and_deliver(day)
        day.report("provider-1", requests(80_000))
        for hours in (1, 2, 4):
            go(day, END + hours * HOUR)
        assert day.held("provider-1") == 0
    with override_settings(SETTLEMENT_PERIOD_SECONDS=3_600, SETTLEMENT_TRUE_UP_LAG_SECONDS=7_201):
        check_over(day)
        with pytest.raises(HoldsReleased):
            day.settle(RunKind.TRUE_UP)


def check_over(day: TradingDay) -> None:
    (late,) = day.report("provider-1", [refusal(5_000)])
    assert late.code == "after_final_run"
    assert [kind for kind, _ in go(day, END + 24 * HOUR)] == ["initial", "final"]
    assert findings(audit()) == {}
