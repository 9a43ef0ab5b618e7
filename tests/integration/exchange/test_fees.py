"""Which rates fills are charged, from schedule and volume to the ledger."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from exchange.commands.set_fee_schedule import SetFeeSchedule, set_fee_schedule
from exchange.errors import InvalidFeeSchedule, UnknownProduct
from exchange.fee_schedule import FeeSchedule, Rates
from exchange.fees import TRAILING, count_volumes, rates_for
from exchange.matching.types import Side
from exchange.models import FeeSchedule as ScheduleRow
from exchange.models import Fill, PartyVolume
from exchange.rows import contract_terms
from ledger.chart import AccountKey, Role
from ledger.errors import NotFound
from ledger.journal import load_accounts
from ledger.models import ActionLog, Party
from tests.audits import audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.exchange.market import ACTOR, CODE, NOW, START, Market

HALF, WHOLE = 500_000, 1_000_000


def tier(volume: int, *ppm: int) -> dict[str, Any]:
    """The buyer's maker and taker rate, then the provider's."""
    names = ("buyer_maker_ppm", "buyer_taker_ppm", "provider_maker_ppm", "provider_taker_ppm")
    return {"volume_micros": volume, **dict(zip(names, ppm, strict=True))}


def set_schedule(
    *tiers: dict[str, Any], basis: str = "contract", product: str | None = CODE, begins: datetime = NOW
) -> ScheduleRow:
    schedule = FeeSchedule.from_json(basis, tiers)
    return set_fee_schedule(SetFeeSchedule("CNY", product, schedule, begins, "for tests"), actor=ACTOR, now=NOW)


def next_rates(market: Market, party: Party, side: Side = Side.BUY, at: datetime = NOW) -> tuple[int, int]:
    found: Rates = rates_for(party.id, contract_terms(market.contract), side, at)
    return found.maker_ppm, found.taker_ppm


def fees_of_house(market: Market) -> int:
    key = AccountKey(Party.objects.get(code="house").id, market.currency.id, Role.FEES)
    return load_accounts([key])[key].balance


def test_each_side_is_charged_its_rate_by_its_role(market: Market) -> None:
    set_schedule(tier(0, HALF, 750_000, 250_000, WHOLE))
    buyer = market.party("buyer")
    market.offer(4, 400)
    market.buy(buyer, 4, 420)  # takes
    market.buy(buyer, 3, 410)  # waits
    market.offer(3, 405)
    took, made = Fill.objects.order_by("id")
    assert (took.taker_side, took.notional, took.buyer_fee_ppm, took.provider_fee_ppm) == ("buy", 1_600_000, 1_500, 750)
    assert (made.taker_side, made.notional, made.buyer_fee_ppm, made.provider_fee_ppm) == (
        "sell",
        1_230_000,
        1_000,
        3_000,
    )
    assert (took.buyer_fee, made.buyer_fee) == (2_400, 1_230)
    cash = market.cash(buyer)
    assert (cash.balance, cash.held) == (100_000_000 - 1_600_000 - 2_400 - 1_230_000 - 1_230, 0)
    assert fees_of_house(market) == 2_400 + 1_230
    assert findings(audit()) == {}


def test_a_fill_with_other_rates_than_its_orders_is_found(market: Market, database: DatabaseUrls) -> None:
    set_schedule(tier(0, HALF, 750_000, 250_000, WHOLE))
    market.offer(4, 400)
    market.buy(market.party("buyer"), 4, 420)
    assert findings(audit("exchange.fill_rates")) == {}
    tamper(database, "UPDATE exchange_fill SET provider_fee_ppm = 0")  # no leg of the ledger says otherwise
    ((_, told),) = findings(audit())["exchange.fill_rates"]
    assert told == "it has 1500 and 0 ppm for buyer and provider, its orders came with 1500 and 750"
    tamper(database, "UPDATE exchange_fill SET provider_fee_ppm = 750, taker_side = 'sell'")
    assert set(found_by(audit())) == {"exchange.fill_rates"}
    tamper(database, "UPDATE exchange_fill SET taker_side = 'buy', provider_fee_ppm = 3001")
    stamp = (
        "UPDATE exchange_intake SET payload = payload || '{\"maker_fee_ppm\": 3001}' WHERE payload ->> 'side' = 'sell'"
    )
    tamper(database, stamp)
    assert set(found_by(audit())) == {"exchange.fill_rates"}  # above the contract's


def test_an_open_order_keeps_the_rates_it_was_placed_with(market: Market) -> None:
    buyer = market.party("buyer")
    market.buy(buyer, 2, 410)
    set_schedule(tier(0, 0, 0, 0, 0))
    market.offer(2, 400)
    fill = Fill.objects.get()
    assert (fill.buyer_fee_ppm, fill.buyer_fee, fill.provider_fee_ppm) == (2_000, 1_640, 0)
    assert findings(audit()) == {}


def test_rates_above_the_contracts_stop_there(market: Market) -> None:
    set_schedule(tier(0, 100_000, 100_000, 100_000, 100_000), basis="notional")
    buyer = market.party("buyer", micros=2 * (400_000 + 800))
    assert next_rates(market, buyer) == (2_000, 2_000)
    assert next_rates(market, market.provider, Side.SELL) == (3_000, 3_000)
    market.offer(2, 400)
    assert market.buy(buyer, 2, 400)["status"] == "accepted"
    assert market.cash(buyer).balance == 0


def test_volume_lifts_a_party_into_the_next_tier_and_time_lets_it_down(market: Market) -> None:
    set_schedule(tier(0, WHOLE, WHOLE, WHOLE, WHOLE), tier(1_600_000, HALF, HALF, HALF, HALF))
    buyer = market.party("buyer")
    market.offer(5, 400)
    market.buy(buyer, 4, 400)
    assert next_rates(market, buyer) == (2_000, 2_000)  # not counted yet
    count_volumes(NOW)
    assert next_rates(market, buyer) == (1_000, 1_000)
    assert next_rates(market, market.provider, Side.SELL) == (1_500, 1_500)
    market.buy(buyer, 1, 400)
    assert Fill.objects.latest("id").buyer_fee_ppm == 1_000
    assert findings(audit()) == {}
    count_volumes(NOW + TRAILING - timedelta(microseconds=1))
    assert PartyVolume.objects.get(party_id=buyer.id).volume_micros == 2_000_000
    count_volumes(NOW + TRAILING)
    assert not PartyVolume.objects.exists()
    assert next_rates(market, buyer) == (2_000, 2_000)


def test_volumes_are_the_sums_of_what_stands(market: Market, database: DatabaseUrls) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    buyers = [market.party(f"buyer-{number}") for number in range(3)]
    market.offer(100, 400)
    for _ in range(15):
        market.clock.at += timedelta(minutes=dice.randint(0, 5))
        market.buy(dice.choice(buyers), dice.randint(1, 6), 400)
    fills = list(Fill.objects.all())
    taken_back = set(dice.sample([fill.id for fill in fills], 4))
    tamper(
        database,
        "INSERT INTO exchange_fillreversal (fill_id, contract_id, reason, command_seq, batch_no, reversed_at)"
        " SELECT id, contract_id, 't', 0, 0, executed_at FROM exchange_fill WHERE id = ANY(%s)",
        [list(taken_back)],
    )
    for _ in range(3):
        at = dice.choice(fills).executed_at + dice.choice([TRAILING, timedelta(0), timedelta(seconds=1)])
        expected: Counter[int] = Counter()
        for fill in fills:
            if at - TRAILING < fill.executed_at <= at and fill.id not in taken_back:
                expected[fill.buyer_id] += fill.notional
                expected[fill.provider_id] += fill.notional
        PartyVolume.objects.all().delete()
        for _ in range(2):
            count_volumes(at)
            assert dict(PartyVolume.objects.values_list("party_id", "volume_micros")) == dict(expected)


def test_a_products_schedule_goes_before_the_currencys(market: Market) -> None:
    buyer = market.party("buyer")
    assert next_rates(market, buyer) == (2_000, 2_000)
    set_schedule(tier(0, 0, 0, 0, 0), product=None)
    assert next_rates(market, buyer) == (0, 0)
    set_schedule(tier(0, HALF, HALF, HALF, HALF))
    assert next_rates(market, buyer) == (1_000, 1_000)
    assert next_rates(market, buyer, at=NOW - timedelta(seconds=1)) == (2_000, 2_000)


def test_the_highest_version_that_has_begun_counts(market: Market) -> None:
    buyer, later = market.party("buyer"), NOW + timedelta(hours=1)
    set_schedule(tier(0, HALF, HALF, HALF, HALF))
    set_schedule(tier(0, 0, 0, 0, 0), begins=later)
    assert next_rates(market, buyer) == (1_000, 1_000)
    assert next_rates(market, buyer, at=later) == (0, 0)
    third = set_schedule(tier(0, WHOLE, WHOLE, WHOLE, WHOLE), begins=NOW + timedelta(minutes=1))
    assert third.version == 3
    assert next_rates(market, buyer, at=later) == (2_000, 2_000)  # the second never comes
    told = ActionLog.objects.filter(action="set_fee_schedule").order_by("id")
    assert [(log.subject, log.reason, log.details["version"]) for log in told] == [
        (f"product:{CODE}", "for tests", number) for number in (1, 2, 3)
    ]


def test_a_schedule_that_cannot_be_is_refused(market: Market) -> None:
    free = FeeSchedule.from_json("contract", [tier(0, 0, 0, 0, 0)])
    wrong: list[tuple[type[Exception], dict[str, Any]]] = [
        (InvalidFeeSchedule, {"valid_from": NOW - timedelta(seconds=1)}),
        (InvalidFeeSchedule, {"reason": "  "}),
        (UnknownProduct, {"product_code": "NONE"}),
        (NotFound, {"currency": "XXX"}),
    ]
    fine = {"currency": "CNY", "product_code": CODE, "schedule": free, "valid_from": NOW, "reason": "r"}
    for error, change in wrong:
        with pytest.raises(error):
            set_fee_schedule(SetFeeSchedule(**(fine | change)), actor=ACTOR, now=NOW)  # type: ignore[arg-type]
    assert not ScheduleRow.objects.exists()


def test_versions_are_never_edited(market: Market) -> None:
    row = set_schedule(tier(0, 0, 0, 0, 0))
    for change in (
        lambda: ScheduleRow.objects.filter(pk=row.pk).update(valid_from=START),
        lambda: ScheduleRow.objects.filter(pk=row.pk).delete(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()
