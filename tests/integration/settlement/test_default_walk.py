"""A provider defaults at minute 20 of 60, and what it then owes is walked through the default waterfall to zero."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from exchange.models import DecisionKind
from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.errors import AccountNeeded, NeedsAnotherPerson, NotFound
from ledger.models import Account, Transaction
from ledger.restrictions import close_account
from settlement.commands.set_share_schedule import SetShareSchedule, set_share_schedule
from settlement.errors import RequestNotOpen
from settlement.metering.events import CORRECTION_TYPE
from settlement.models import RunKind, RunState
from settlement.payments.default import ask_to_walk, walk_waterfall
from settlement.payments.errors import WaterfallNotNeeded
from settlement.payments.pots import Pot, ask_to_fund, fund_waterfall, open_pots
from settlement.runs.sweep import sweep
from settlement.waterfall import Layer
from tests.audits import audit, findings
from tests.conftest import Databases
from tests.integration.settlement.trading_day import ACTOR, CODE, START, TradingDay, usage
from tests.replays import Replays
from tests.two_operators import FIRST, SECOND, decide, deposit, withdraw

INSTANT = START + timedelta(minutes=20)
SERVED = 3
PAID = 126_000 - 378  # for 30,000 of 100,000 tokens, less the fee


def served() -> list[dict[str, Any]]:
    """30,000 tokens before the default."""
    return [usage(f"r{number}", 10_000, at=START + timedelta(minutes=5 * number)) for number in range(SERVED)]


def taken_back(day: TradingDay) -> None:
    """Both sides find that none of it was ever served."""
    for code in ("buyer-1", "provider-1"):
        for number, event in enumerate(served()):
            data = event["data"] | {"supersedes": f"r{number}", "why": "never served", "replacement": "void"}
            correction = event | {
                "type": CORRECTION_TYPE,
                "id": f"void-{number}",
                "source": f"meter/{code}",
                "data": data,
            }
            (result,) = day.report(code, [correction])
            assert result.status == "accepted", result


def fund(day: TradingDay, pot: Pot, micros: int, party: str = "") -> None:
    asked = ask_to_fund(pot, "CNY", micros, "for the fund", party=party, actor=FIRST, now=day.clock.at)
    fund_waterfall(asked.pk, actor=SECOND, now=day.clock.at)


def walk_it(day: TradingDay) -> list[tuple[Layer, str, int]]:
    asked = ask_to_walk("provider-1", "CNY", "it will not pay", actor=FIRST, now=day.clock.at)
    steps = walk_waterfall(asked.pk, actor=SECOND, now=day.clock.at)
    return [(step.layer, step.owner, step.micros) for step in steps]


def claims_of_others(day: TradingDay) -> int:
    claims = Account.objects.filter(role=Role.CLAIM, qualifier__startswith="provider-1", asset_id=day.currency_id)
    return sum(claims.exclude(party=day.parties["house"]).values_list("balance", flat=True))


def totals_of_money(day: TradingDay) -> int:
    return sum(Account.objects.filter(asset_id=day.currency_id).values_list("balance", flat=True))


@pytest.fixture
def replays(databases: Databases, take_clone: Callable[[], str]) -> Replays:
    return Replays(databases, take_clone)


@pytest.fixture
def defaulted(day: TradingDay) -> TradingDay:
    """The provider kept its income and took its cash away; it served 20 of 60 minutes and was paid for them."""
    provider = day.parties["provider-1"].id
    own = SetShareSchedule(provider, CODE, {"compute": {"ppm": 1_000_000, "party": ""}})
    set_share_schedule(own, actor=ACTOR, now=day.clock.at)
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    fund(day, Pot.MEMBER, 20_000, "provider-1")
    fund(day, Pot.MEMBER, 40_000, "buyer-2")
    fund(day, Pot.MEMBER, 10_000, "buyer-3")
    withdraw(
        provider,
        day.currency_id,
        day.balance("provider-1") - day.held("provider-1"),
        reference="all of it",
        now=day.clock.at,
    )
    day.deliver(INSTANT)
    decide(DecisionKind.DEFAULT_PROVIDER, "provider-1", now=day.clock.at)
    day.sweep_contracts()
    day.deliver()
    day.report_both("buyer-1", "provider-1", served())
    assert day.settle().state == RunState.PUBLISHED
    return day


def end_all(day: TradingDay) -> None:
    """The final run takes back what was paid, which frozen cash does not give; the rest of its bond is freed."""
    taken_back(day)
    assert day.settle(RunKind.FINAL).state == RunState.PUBLISHED
    for _ in range(3):
        day.clock.at += timedelta(days=20)
        sweep(day.clock.at, ring=lambda job_id: None)
        day.work_off()
    assert day.held("provider-1") == 0


def test_a_default_at_minute_20_of_60_is_walked_to_zero(defaulted: TradingDay) -> None:
    day = defaulted
    damages = 1_000_000 + PAID - day.balance("provider-1")
    assert damages == 147_000  # the bond bears the damages of what was short, in the run itself
    open_pots(actor=ACTOR, now=day.clock.at)
    end_all(day)
    make_debt(day, 2_000_000)  # and more than it has, for other windows that it was paid for and never served
    deposit(day.parties["house"].id, day.currency_id, 50_000, reference="own money", now=day.clock.at)
    fund(day, Pot.CAPITAL, 50_000)
    fund(day, Pot.FUND, 500)
    assert findings(audit()) == {}
    cash, claimed, debt = day.balance("provider-1"), claims_of_others(day), -day.balance("provider-1", Role.DEBT)
    house = debt - claimed

    steps = walk_it(day)
    borne = [50_000, 500, 40_000, 10_000]
    assert steps == [
        (Layer.CASH, "provider-1", cash),
        (Layer.CONTRIBUTION, "member/provider-1", 20_000),
        (Layer.CAPITAL, "capital", 50_000),
        (Layer.FUND, "", 500),
        (Layer.ASSESSMENT, "member/buyer-2", 40_000),
        (Layer.ASSESSMENT, "member/buyer-3", 10_000),
        (Layer.HAIRCUT, "", claimed - cash - 20_000 - sum(borne)),
    ]
    assert (claims_of_others(day), day.balance("provider-1")) == (0, 0)
    assert set(pots(day).values()) == {0}
    assert -day.balance("provider-1", Role.DEBT) == house + sum(borne)  # owed to those who paid for it
    account = Account.objects.get(party=day.parties["provider-1"], role=Role.CASH)
    assert account.frozen  # as before
    assert (totals_of_money(day), day.left_over(), findings(audit())) == (0, [], {})

    deposit(day.parties["provider-1"].id, day.currency_id, house + sum(borne), reference="estate", now=day.clock.at)
    walk_it(day)
    assert (day.balance("provider-1", Role.DEBT), day.balance("provider-1")) == (0, 0)
    assert (pots(day)["capital"], pots(day)[""]) == (50_000, 50_500)
    assert (totals_of_money(day), findings(audit())) == (0, {})
    with pytest.raises(WaterfallNotNeeded):
        walk_it(day)


def make_debt(day: TradingDay, micros: int) -> None:
    """A debt as an adjustment leaves it: claimed by two buyers and by the house for its fees."""
    parties = {code: party.id for code, party in day.parties.items()}
    shares = {"buyer-1": micros * 2 // 3, "buyer-2": micros - micros * 2 // 3 - 1_000, "house": 1_000}
    legs = [Leg(AccountKey(parties["provider-1"], day.currency_id, Role.DEBT), -micros, "debt")]
    for code, part in shares.items():
        qualifier = "provider-1/fees" if code == "house" else "provider-1"
        legs.append(Leg(AccountKey(parties[code], day.currency_id, Role.CLAIM, qualifier), part, "claim"))
    draft = TransactionDraft(
        kind="adjustment", source="tests", reference="debt", effective_at=day.clock.at, legs=tuple(legs)
    )
    with transaction.atomic():
        journal.post([draft], actor=ACTOR, now=day.clock.at)


def pots(day: TradingDay) -> dict[str, int]:
    rows = Account.objects.filter(role=Role.DEFAULT_FUND, asset_id=day.currency_id).order_by("qualifier")
    return dict(rows.values_list("qualifier", "balance"))


def test_every_layer_bears_its_part_and_recoveries_make_it_whole(day: TradingDay, replays: Replays) -> None:
    open_pots(actor=ACTOR, now=day.clock.at)
    deposit(day.parties["house"].id, day.currency_id, 1_000_000, reference="own money", now=day.clock.at)
    fund(day, Pot.CAPITAL, 50_000)
    fund(day, Pot.MEMBER, 20_000, "provider-1")
    fund(day, Pot.MEMBER, 40_000, "buyer-2")
    fund(day, Pot.MEMBER, 10_000, "buyer-3")
    make_debt(day, 1_000_000)
    provider = day.parties["provider-1"].id
    free = day.balance("provider-1") - 300_000
    withdraw(provider, day.currency_id, free, reference="nearly all", now=day.clock.at)
    before = {code: day.balance(code) for code in ("buyer-1", "buyer-2", "buyer-3")}

    assert walk_it(day) == [
        (Layer.CASH, "provider-1", 300_000),
        (Layer.CONTRIBUTION, "member/provider-1", 20_000),
        (Layer.CAPITAL, "capital", 50_000),
        (Layer.ASSESSMENT, "member/buyer-2", 40_000),
        (Layer.ASSESSMENT, "member/buyer-3", 10_000),
        (Layer.HAIRCUT, "", 579_000),
    ]
    assert claims_of_others(day) == 0
    got = {code: day.balance(code) - before[code] for code in before}
    assert sum(got.values()) == 420_000
    assert got["buyer-3"] == 0
    assert abs(got["buyer-1"] * 332_334 - got["buyer-2"] * 666_666) < 10**7  # by what each claimed
    assert set(pots(day).values()) == {0}
    assert day.balance("provider-1", Role.DEBT) == -(50_000 + 50_000 + 1_000)  # to the house: fees, capital, members
    assert findings(audit()) == {}

    deposit(provider, day.currency_id, 60_000, reference="from the estate", now=day.clock.at)
    assert walk_it(day) == [(Layer.CASH, "provider-1", 60_000)]
    deposit(provider, day.currency_id, 60_000, reference="the rest", now=day.clock.at)
    assert walk_it(day) == [(Layer.CASH, "provider-1", 41_000)]
    assert (day.balance("provider-1", Role.DEBT), day.balance("provider-1")) == (0, 19_000)
    assert (pots(day)["capital"], pots(day)[""], day.balance("house", Role.FEES)) == (50_000, 50_000, 1_000)
    assert totals_of_money(day) == 0
    assert findings(audit()) == {}
    kinds = Transaction.objects.filter(source="payments", kind__startswith="waterfall_").values_list("kind", flat=True)
    assert set(kinds) == {f"waterfall_{name}" for name in ("cash", "contribution", "capital", "assessment", "haircut")}
    replays.check_identical()


def test_the_money_of_others_waits_until_nothing_is_held(day: TradingDay) -> None:
    day.sell("provider-1", 1, 420)
    fund(day, Pot.MEMBER, 40_000, "buyer-2")
    make_debt(day, 500_000)
    provider = day.parties["provider-1"].id
    withdraw(
        provider, day.currency_id, day.balance("provider-1") - day.held("provider-1") - 10_000,
        reference="nearly all", now=day.clock.at,
    )  # fmt: skip
    assert walk_it(day) == [(Layer.CASH, "provider-1", 10_000)]
    with pytest.raises(WaterfallNotNeeded):
        walk_it(day)
    assert day.held("provider-1") == 100_000
    assert claims_of_others(day) == 499_000 - 10_000


def test_the_waterfall_takes_two_people_and_runs_once(day: TradingDay) -> None:
    with pytest.raises(WaterfallNotNeeded):
        ask_to_walk("provider-1", "CNY", "just so", actor=FIRST, now=day.clock.at)
    make_debt(day, 500_000)
    asked = ask_to_walk("provider-1", "CNY", "it will not pay", actor=FIRST, now=day.clock.at)
    with pytest.raises(NeedsAnotherPerson):
        walk_waterfall(asked.pk, actor=FIRST, now=day.clock.at)
    walk_waterfall(asked.pk, actor=SECOND, now=day.clock.at)
    with pytest.raises(RequestNotOpen):
        walk_waterfall(asked.pk, actor=SECOND, now=day.clock.at)
    with pytest.raises(NotFound):
        fund_waterfall(asked.pk, actor=SECOND, now=day.clock.at)


def test_the_accounts_of_the_waterfall_exist_empty_and_stay_open(day: TradingDay) -> None:
    for _ in range(2):
        open_pots(actor=ACTOR, now=day.clock.at)
    assert pots(day) == {"": 0, "capital": 0}
    capital = AccountKey(day.parties["house"].id, day.currency_id, Role.DEFAULT_FUND, "capital")
    with pytest.raises(AccountNeeded):
        close_account(capital, reason="not needed", actor=FIRST, now=day.clock.at)
