"""Frozen and closed accounts: whoever may not pay or take is refused by name, and the book never jams."""

from __future__ import annotations

import dataclasses
import random
import secrets
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from exchange.commands.decide_request import approve_decision
from exchange.commands.place_order import PlaceOrder
from exchange.commands.request_decision import RequestDecision, request_decision
from exchange.commands.send_orders import try_orders
from exchange.dry_run import Trial
from exchange.matching.types import Side
from exchange.models import DecisionKind, Fill, FillReversal, IntakeKind, SetAside
from exchange.selectors.market import get_book, get_contract
from exchange.sequencer.intake import Submission
from exchange.sequencer.loop import Sequencer
from exchange.sequencer.results import find_result
from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.models import Account, Party
from ledger.selectors.parties import get_house_id
from tests.audits import audit, findings
from tests.conftest import Databases
from tests.integration.exchange import market as small_market
from tests.integration.exchange.commands import about, check_memory, decided, order, put, status_of
from tests.integration.exchange.market import ACTOR, NOW, SYMBOL, Market
from tests.integration.exchange.market_day import MarketDay
from tests.replays import Replays

FROZEN, CLOSED, FREE = (True, False), (False, True), (False, False)


@pytest.fixture
def replays(databases: Databases, take_clone: Callable[[], str]) -> Replays:
    return Replays(databases, take_clone)


def restrict(key: AccountKey, flags: tuple[bool, bool] = FROZEN) -> None:
    """By the ledger's own door, which asks for nothing but an empty account when it closes one."""
    frozen, closed = flags
    with transaction.atomic():
        journal.set_flags(key, frozen=frozen, closed=closed, actor=ACTOR, reason="a test", now=NOW)


def account(market: Market, party: Party | None, role: Role) -> AccountKey:
    """A party's account of this role, or the house's of the market's contract."""
    party_id = get_house_id() if party is None else party.id
    asset = market.contract.asset_id if role in (Role.ENTITLEMENT, Role.OBLIGATION) else market.currency.id
    return AccountKey(party_id, asset, role, SYMBOL if role is Role.ESCROW else "")


def undo(market: Market, kind: DecisionKind, subject: str) -> dict[str, Any]:
    """Asked for, approved and decided."""
    asked = request_decision(RequestDecision(kind, subject, "for a good reason"), actor="one", now=market.clock.at)
    (result,) = market.results(approve_decision(asked.pk, actor="other", now=market.clock.at).seqs)
    return result


def bust(market: Market, fill: Fill) -> dict[str, Any]:
    return undo(market, DecisionKind.BUST_FILL, str(fill.id))


@pytest.fixture
def busted(market: Market) -> tuple[Market, Party]:
    """A buyer whose only trade was busted: its entitlement and the escrow are there, and empty."""
    buyer = market.party("buyer-1")
    sold = market.offer(1, 400)["order_id"]
    market.buy(buyer, 1, 400)
    assert bust(market, Fill.objects.get())["status"] == "accepted"
    decided(market, about(market, IntakeKind.CANCEL_ALL, market.provider, market.contract))
    assert status_of(sold)[0] == "filled"
    return market, buyer


def test_a_bid_that_can_take_no_tokens_leaves_the_book_and_jams_nobody(
    busted: tuple[Market, Party], replays: Replays
) -> None:
    market, buyer = busted
    other = market.party("buyer-2")
    jam, behind = market.buy(buyer, 5, 410)["order_id"], market.buy(other, 2, 405)["order_id"]
    again, deep = market.buy(buyer, 1, 405)["order_id"], market.buy(buyer, 1, 390)["order_id"]
    restrict(account(market, buyer, Role.ENTITLEMENT), CLOSED)
    sold = market.offer(3, 400)
    assert (sold["status"], sold["order_status"], sold["filled_lots"]) == ("accepted", "open", 2)
    assert [status_of(each) for each in (jam, behind, again, deep)] == [
        ("cancelled", "account_closed", 5),
        ("filled", "filled", 0),
        ("cancelled", "account_closed", 1),
        ("open", "", 1),  # nobody came so far
    ]
    assert market.cash(buyer).held == 390_000 + 780
    assert [level.price_ticks for level in get_book(SYMBOL).bids] == [390]
    assert not SetAside.objects.exists()
    assert findings(audit()) == {}
    replays.check_identical()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"time_in_force": "fok", "lots": 2}, ("filled", "filled", 2)),
        ({"time_in_force": "fok", "lots": 3}, ("cancelled", "fok_not_filled", 0)),
        ({"time_in_force": "ioc", "lots": 3}, ("cancelled", "ioc_remainder", 2)),
        (
            {"order_type": "market", "time_in_force": "ioc", "price_ticks": 1, "lots": 3},
            ("cancelled", "ioc_remainder", 2),
        ),
        ({"post_only": "reject", "price_ticks": 407, "lots": 1}, ("open", "", 0)),
        ({"post_only": "reprice", "price_ticks": 402, "lots": 1}, ("open", "", 0)),
    ],
)
def test_every_kind_of_order_finds_the_book_without_such_bids(
    busted: tuple[Market, Party], more: dict[str, Any], expected: tuple[str, str, int]
) -> None:
    market, buyer = busted
    jam = market.buy(buyer, 5, 410)["order_id"]
    market.buy(market.party("buyer-2"), 2, 405)
    restrict(account(market, buyer, Role.ENTITLEMENT), CLOSED)
    wanted = {"lots": 1, "price_ticks": 400} | more
    (answer,) = decided(
        market, order(market, market.provider, "sell", wanted.pop("lots"), wanted.pop("price_ticks"), **wanted)
    )
    assert (answer["order_status"], answer["close_reason"], answer["filled_lots"]) == expected
    assert status_of(jam) == ("cancelled", "account_closed", 5)
    if more.get("post_only") == "reprice":
        assert answer["price_ticks"] == 406  # one above the best bid that can trade
    assert findings(audit()) == {}


def test_an_amendment_meets_no_such_bid_either(busted: tuple[Market, Party]) -> None:
    market, buyer = busted
    jam = market.buy(buyer, 5, 410)["order_id"]
    offer = market.offer(3, 420)["order_id"]
    restrict(account(market, buyer, Role.ENTITLEMENT), CLOSED)
    change = about(market, IntakeKind.AMEND_ORDER, market.provider, order_id=offer, price_ticks=400, lots=3)
    (answer,) = decided(market, change)
    assert (answer["status"], answer["order_status"], answer["filled_lots"]) == ("accepted", "open", 0)
    assert status_of(jam) == ("cancelled", "account_closed", 5)
    assert get_book(SYMBOL).asks[0].price_ticks == 400


def test_a_sequencer_that_remembers_its_accounts_sees_one_closed_meanwhile(busted: tuple[Market, Party]) -> None:
    market, buyer = busted
    sequencer = Sequencer(market.clock)
    sequencer.take_over(threading.Event())

    def step(submission: Submission) -> dict[str, Any]:
        seq = put(market, submission)
        sequencer.step()
        return find_result(seq) or {}

    step(order(market, buyer, "buy", 5, 410))
    assert step(order(market, market.provider, "sell", 1, 420))["status"] == "accepted"
    restrict(account(market, buyer, Role.ENTITLEMENT), CLOSED)
    answer = step(order(market, market.provider, "sell", 1, 400))
    assert (answer["status"], answer["filled_lots"]) == ("accepted", 0)
    answer = step(order(market, buyer, "buy", 1, 300))
    assert (answer["code"], answer["fields"]) == ("account_frozen", {"account": "entitlement"})
    check_memory(sequencer)
    sequencer.let_go()


@pytest.mark.parametrize(
    ("side", "role", "flags"),
    [
        ("buy", Role.CASH, FROZEN),
        ("buy", Role.ENTITLEMENT, FROZEN),
        ("buy", Role.ENTITLEMENT, CLOSED),
        ("sell", Role.CASH, FROZEN),
        ("sell", Role.OBLIGATION, FROZEN),
        ("sell", Role.OBLIGATION, CLOSED),
        ("house", Role.ESCROW, CLOSED),
        ("house", Role.FEES, CLOSED),
    ],
)
def test_who_is_restricted_or_meets_a_house_that_is_places_nothing(
    busted: tuple[Market, Party], replays: Replays, side: str, role: Role, flags: tuple[bool, bool]
) -> None:
    market, buyer = busted
    standing = market.buy(buyer, 3, 390)["order_id"]

    def amendment(price_ticks: int | None, lots: int) -> Submission:
        change = {"order_id": standing, "price_ticks": price_ticks, "lots": lots}
        return about(market, IntakeKind.AMEND_ORDER, buyer, **change)

    party = {"buy": buyer, "sell": market.provider, "house": None}[side]
    restrict(account(market, party, role), flags)
    before = (get_book(SYMBOL), market.cash(buyer), market.cash(market.provider))
    answers = []
    if side != "sell":
        answers += decided(market, order(market, buyer, "buy", 1, 400))
        answers += decided(
            market, about(market, IntakeKind.AMEND_ORDER, buyer, order_id=standing, price_ticks=380, lots=3)
        )
        answers += decided(
            market, about(market, IntakeKind.AMEND_ORDER, buyer, order_id=standing, price_ticks=None, lots=4)
        )
    if side != "buy":
        answers += decided(market, order(market, market.provider, "sell", 1, 390))
    for answer in answers:
        assert (answer["status"], answer["code"], answer["fields"]) == ("refused", "account_frozen", {"account": role})
    assert (get_book(SYMBOL), market.cash(buyer), market.cash(market.provider)) == before
    cancel = about(market, IntakeKind.CANCEL_ORDER, buyer, order_id=standing)
    assert [answer["status"] for answer in decided(market, amendment(None, 2), cancel)] == ["accepted", "accepted"]
    assert market.cash(buyer).held == 0
    assert not SetAside.objects.exists()
    assert findings(audit()) == {}
    replays.check_identical()


@pytest.mark.usefixtures("database")
def test_a_provider_without_bond_needs_its_cash_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is held for an order, but what the tokens earn goes there."""
    monkeypatch.setattr(small_market, "TERMS", dataclasses.replace(small_market.TERMS, damages_cap_permille=0))
    market = Market()
    assert market.offer(1, 400)["status"] == "accepted"
    assert market.cash(market.provider).held == 0
    restrict(account(market, market.provider, Role.CASH))
    answer = market.offer(1, 400)
    assert (answer["code"], answer["fields"]) == ("account_frozen", {"account": "cash"})


def test_what_stands_in_the_book_of_a_frozen_party_still_trades(busted: tuple[Market, Party], replays: Replays) -> None:
    """It pays with what it held before, and takes."""
    market, buyer = busted
    bid = market.buy(buyer, 4, 410)["order_id"]
    for role in (Role.CASH, Role.ENTITLEMENT):
        restrict(account(market, buyer, role))
    restrict(account(market, None, Role.ESCROW))
    restrict(account(market, None, Role.FEES))
    assert market.offer(3, 405)["filled_lots"] == 3
    ask = market.offer(2, 415)["order_id"]
    for role in (Role.CASH, Role.OBLIGATION):
        restrict(account(market, market.provider, role))
    assert market.buy(market.party("buyer-2"), 2, 420)["filled_lots"] == 2
    assert [status_of(each) for each in (bid, ask)] == [("open", "", 1), ("filled", "filled", 0)]
    decided(market, about(market, IntakeKind.CANCEL_ORDER, buyer, order_id=bid))
    assert not SetAside.objects.exists()
    assert findings(audit()) == {}
    replays.check_identical()


@pytest.mark.parametrize("kind", [DecisionKind.BUST_FILL, DecisionKind.CANCEL_CONTRACT])
@pytest.mark.parametrize(("whose", "role"), [("buyer", Role.ENTITLEMENT), ("house", Role.ESCROW), ("house", Role.FEES)])
def test_what_cannot_be_taken_back_from_a_frozen_account_waits_for_its_thaw(
    market: Market, replays: Replays, kind: DecisionKind, whose: str, role: Role
) -> None:
    buyer = market.party("buyer-1")
    market.offer(5, 400)
    market.buy(buyer, 3, 400)
    subject = SYMBOL if kind is DecisionKind.CANCEL_CONTRACT else str(Fill.objects.get().id)
    key = account(market, buyer if whose == "buyer" else None, role)
    restrict(key)
    before = get_book(SYMBOL)
    refused = undo(market, kind, subject)
    row = Account.objects.get(party_id=key.party_id, asset_id=key.asset_id, role=role, qualifier=key.qualifier)
    assert (refused["status"], refused["code"]) == ("refused", "account_frozen")
    assert refused["fields"] == {"account": role, "account_id": str(row.id), "restriction": "frozen"}
    assert (get_book(SYMBOL), get_contract(SYMBOL).state) == (before, "trading")
    assert not FillReversal.objects.exists()
    restrict(key, FREE)
    assert undo(market, kind, subject)["fills_reversed"] == 1
    assert not SetAside.objects.exists()
    assert findings(audit()) == {}
    replays.check_identical()


@pytest.mark.parametrize("kind", [DecisionKind.BUST_FILL, DecisionKind.CANCEL_CONTRACT])
def test_nothing_is_paid_back_to_an_account_that_is_closed(
    market: Market, replays: Replays, kind: DecisionKind
) -> None:
    """Closing it is refused today; an older ledger may have it."""
    buyer = market.party("buyer-1", micros=3 * 400_000 + 2_400)
    market.offer(5, 400)
    market.buy(buyer, 3, 400)
    restrict(account(market, buyer, Role.CASH), CLOSED)
    refused = undo(market, kind, SYMBOL if kind is DecisionKind.CANCEL_CONTRACT else str(Fill.objects.get().id))
    assert (refused["status"], refused["code"], refused["fields"]["restriction"]) == (
        "refused",
        "account_frozen",
        "closed",
    )
    assert (get_contract(SYMBOL).state, len(get_book(SYMBOL).asks)) == ("trading", 1)
    assert not SetAside.objects.exists()
    replays.check_identical()


@pytest.mark.parametrize("kind", [DecisionKind.BUST_FILL, DecisionKind.CANCEL_CONTRACT])
def test_after_a_default_trades_are_still_taken_back(market: Market, replays: Replays, kind: DecisionKind) -> None:
    buyer = market.party("buyer-1")
    market.offer(5, 400)
    market.buy(buyer, 3, 400)
    bid = market.buy(buyer, 2, 390)["order_id"]
    undo(market, DecisionKind.DEFAULT_PROVIDER, "provider-1")
    assert market.cash(market.provider).frozen
    late = order(market, market.provider, "sell", 1, 390)
    assert decided(market, late)[0]["code"] == "not_qualified"
    done = undo(market, kind, SYMBOL if kind is DecisionKind.CANCEL_CONTRACT else str(Fill.objects.get().id))
    assert done["fills_reversed"] == 1
    assert (market.cash(market.provider).held, market.tokens(buyer, Role.ENTITLEMENT).balance) == (0, 0)
    assert status_of(bid)[0] == ("cancelled" if kind is DecisionKind.CANCEL_CONTRACT else "open")
    market.clock.at = market.contract.gate_close
    market.sweep()
    assert not SetAside.objects.exists()
    assert findings(audit()) == {}
    replays.check_identical()


def test_timers_and_gates_release_what_a_frozen_party_holds(market: Market, replays: Replays) -> None:
    buyer = market.party("buyer-1")
    expires_at = (NOW + timedelta(minutes=1)).isoformat()
    seqs = [
        put(market, order(market, buyer, "buy", 1, 400, time_in_force="gtd", expires_at=expires_at)),
        put(market, order(market, buyer, "buy", 1, 390)),
        put(market, order(market, market.provider, "sell", 1, 410)),
    ]
    market.results(seqs)
    decided(market, about(market, IntakeKind.CANCEL_ALL_AFTER, buyer, seconds=120))
    for key in (account(market, buyer, Role.CASH), account(market, market.provider, Role.CASH)):
        restrict(key)
    restrict(account(market, market.provider, Role.OBLIGATION))
    for minutes in (1, 2):
        market.clock.at = NOW + timedelta(minutes=minutes)
        market.results([])
    market.clock.at = market.contract.gate_close
    market.sweep()
    assert [status_of(each)[1] for each in seqs] == ["expired", "switched_off", "gate_closed"]
    assert (market.cash(buyer).held, market.cash(market.provider).held) == (0, 0)
    assert findings(audit()) == {}
    replays.check_identical()


def test_a_dry_run_says_what_will_be(busted: tuple[Market, Party]) -> None:
    market, buyer = busted
    for flags in (FROZEN, CLOSED):
        restrict(account(market, buyer, Role.ENTITLEMENT), flags)
        placing = PlaceOrder(buyer.id, SYMBOL, Side.BUY, 400, 1)
        (trial,) = try_orders([placing], party_id=buyer.id, actor=ACTOR, now=NOW)
        assert isinstance(trial, Trial)
        assert trial.answer == market.buy(buyer, 1, 400)
        assert trial.answer["code"] == "account_frozen"


class RestrictedDay(MarketDay):
    """A day on which somebody freezes, thaws and closes accounts, whichever the ledger lets be."""

    def trade(self) -> None:
        super().trade()
        if self.draw.random() < 0.6:
            self.decide()
            self.flip()

    def flip(self) -> None:
        roles = (Role.CASH, Role.ENTITLEMENT, Role.OBLIGATION, Role.ESCROW, Role.FEES)
        row = self.draw.choice(list(Account.objects.filter(role__in=roles, closed=False).order_by("id")))
        key = AccountKey(row.party_id, row.asset_id, Role(row.role), row.qualifier)
        empty = not row.balance and not row.held
        closed = empty and key.role is not Role.FEES and self.draw.random() < 0.5
        restrict(key, CLOSED if closed else (not row.frozen, False))

    def move_money(self) -> None:
        """Deposits and withdrawals have tests of their own."""

    def deliver(self) -> None:
        self.decide()
        assert findings(audit()) == {}  # afterwards contracts are called settled that nobody has settled
        super().deliver()


def test_a_random_day_of_freezing_and_closing_sets_no_command_aside(market: Market, replays: Replays) -> None:
    seed = secrets.randbits(32)
    print("seed", seed)
    day = RestrictedDay(market, random.Random(seed))
    day.run()
    poisoned = SetAside.objects.exclude(reason__contains="KeyError")  # the day's own
    assert list(poisoned.values_list("reason", flat=True)) == []
    replays.check_identical()
