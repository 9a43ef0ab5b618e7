"""The exchange as one would write it without further thought: a Django ORM transaction for each command.

The same rows as the sequencer's, in tables without triggers: orders, fills, entries, balances, holds, results.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.db import connections, models, transaction

from tests.bench.exchange.flow import Drawn
from tests.bench.exchange.world import FUNDS, LOT_TOKENS, World

TICK_LOT_MICROS = 1_000
FEE_PPM = 2_000
BOND_MICROS = 1_000_000
OPEN, FILLED, CANCELLED = "open", "filled", "cancelled"


class _Table(models.Model):
    class Meta:
        abstract = True
        app_label = "bench_exchange"

    objects: ClassVar[models.Manager[Any]] = models.Manager()


class Market(_Table):
    last_price_ticks = models.BigIntegerField(null=True)
    traded_lots = models.BigIntegerField(default=0)
    book_seq = models.BigIntegerField(default=0)


class Purse(_Table):
    """An account: of whom, and of what (money, or a contract's tokens)."""

    party_id = models.BigIntegerField()
    contract_id = models.BigIntegerField(default=0)
    role = models.CharField(max_length=12)
    balance = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)

    class Meta:
        app_label = "bench_exchange"
        constraints: ClassVar = [models.UniqueConstraint("party_id", "contract_id", "role", name="purse_once")]


class Offer(_Table):
    """An order."""

    market_id = models.BigIntegerField()
    party_id = models.BigIntegerField(db_index=True)
    side = models.CharField(max_length=4)
    price_ticks = models.BigIntegerField()
    lots = models.BigIntegerField()
    remaining_lots = models.BigIntegerField()
    time_in_force = models.CharField(max_length=4)
    status = models.CharField(max_length=12)
    placed_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "bench_exchange"
        indexes: ClassVar = [
            models.Index(
                name="offer_book", fields=["market_id", "side", "price_ticks", "id"], condition=models.Q(status=OPEN)
            )
        ]


class Trade(_Table):
    market_id = models.BigIntegerField()
    buy_order = models.BigIntegerField()
    sell_order = models.BigIntegerField()
    price_ticks = models.BigIntegerField()
    lots = models.BigIntegerField()
    notional = models.BigIntegerField()
    fee = models.BigIntegerField()
    executed_at = models.DateTimeField()


class Line(_Table):
    """A ledger entry."""

    trade = models.ForeignKey(Trade, on_delete=models.PROTECT, db_constraint=False)
    purse = models.ForeignKey(Purse, on_delete=models.PROTECT, db_constraint=False)
    amount = models.BigIntegerField()
    balance_after = models.BigIntegerField()


class HoldLine(_Table):
    purse = models.ForeignKey(Purse, on_delete=models.PROTECT, db_constraint=False)
    delta = models.BigIntegerField()
    held_after = models.BigIntegerField()


class Outcome(_Table):
    """What a command came to."""

    command = models.BigIntegerField(unique=True)
    result = models.JSONField()


TABLES = (Market, Purse, Offer, Trade, Line, HoldLine, Outcome)


class NaiveExchange:
    """Orders by the number of the command that placed them."""

    def __init__(self, world: World) -> None:
        with connections["owner"].schema_editor() as editor:
            for model in TABLES:
                editor.create_model(model)
        Market.objects.bulk_create(Market(id=id) for id in world.contracts)
        Purse.objects.bulk_create(
            Purse(party_id=party, role="cash", balance=FUNDS) for party in (*world.buyers, *world.providers, 0)
        )
        self._orders: dict[int, int] = {}

    @transaction.atomic
    def run(self, drawn: Drawn) -> None:
        """Decide one command in a transaction of its own, as the rules of the exchange have it."""
        market = Market.objects.select_for_update().get(id=drawn.contract_id)
        if drawn.order is None:
            offer = Offer.objects.get(pk=self._orders[drawn.target])
            if offer.status == OPEN:
                _hold(offer, -offer.remaining_lots)
                _close(offer, CANCELLED)
            Outcome.objects.create(
                command=drawn.number, result={"status": "accepted", "cancelled": offer.remaining_lots}
            )
            return
        now = datetime.now(UTC)
        terms = {name: value for name, value in drawn.order.items() if name != "overage_permille"}
        offer = Offer.objects.create(
            market_id=market.pk,
            party_id=drawn.party_id,
            remaining_lots=drawn.order["lots"],
            status=OPEN,
            placed_at=now,
            **terms,
        )
        self._orders[drawn.number] = offer.pk
        _hold(offer, offer.lots)
        fills = [_trade(offer, maker, market, now) for maker in _makers(offer)]
        if not offer.remaining_lots:
            _close(offer, FILLED)
        else:
            offer.save(update_fields=["remaining_lots"])
        market.book_seq += 1
        market.save()
        Outcome.objects.create(command=drawn.number, result={"status": "accepted", "order": offer.pk, "fills": fills})


def _makers(taker: Offer) -> list[Offer]:
    """Those that the taker will trade with, best price and oldest first."""
    standing = Offer.objects.filter(market_id=taker.market_id, status=OPEN)
    if taker.side == "buy":
        standing = standing.filter(side="sell", price_ticks__lte=taker.price_ticks).order_by("price_ticks", "id")
    else:
        standing = standing.filter(side="buy", price_ticks__gte=taker.price_ticks).order_by("-price_ticks", "id")
    makers, left = [], taker.lots
    for maker in standing[: taker.lots]:
        if left <= 0:
            break
        makers.append(maker)
        left -= maker.remaining_lots
    return makers


def _trade(taker: Offer, maker: Offer, market: Market, now: datetime) -> int:
    lots = min(taker.remaining_lots, maker.remaining_lots)
    buy, sell = (taker, maker) if taker.side == "buy" else (maker, taker)
    notional = lots * maker.price_ticks * TICK_LOT_MICROS
    trade = Trade.objects.create(
        market_id=market.pk,
        buy_order=buy.pk,
        sell_order=sell.pk,
        price_ticks=maker.price_ticks,
        lots=lots,
        notional=notional,
        fee=notional * FEE_PPM // 1_000_000,
        executed_at=now,
    )
    for order in (taker, maker):
        _hold(order, -lots)
        order.remaining_lots -= lots
    if maker.remaining_lots:
        maker.save(update_fields=["remaining_lots"])
    else:
        _close(maker, FILLED)
    _enter(trade, buy.party_id, 0, "cash", -(notional + trade.fee))
    _enter(trade, 0, market.pk, "escrow", notional)
    _enter(trade, 0, 0, "fees", trade.fee)
    _enter(trade, sell.party_id, market.pk, "obligation", -lots * LOT_TOKENS)
    _enter(trade, buy.party_id, market.pk, "entitlement", lots * LOT_TOKENS)
    market.last_price_ticks = maker.price_ticks
    market.traded_lots += lots
    return int(trade.pk)


def _enter(trade: Trade, party_id: int, contract_id: int, role: str, amount: int) -> None:
    purse = _purse(party_id, contract_id, role)
    purse.balance += amount
    purse.save(update_fields=["balance"])
    Line.objects.create(trade=trade, purse=purse, amount=amount, balance_after=purse.balance)


def _hold(order: Offer, lots: int) -> None:
    """Change what the order's party holds for it by that many lots."""
    if order.side == "buy":
        micros = lots * order.price_ticks * TICK_LOT_MICROS
        changes = [(_purse(order.party_id, 0, "cash"), micros + micros * FEE_PPM // 1_000_000)]
    else:
        changes = [
            (_purse(order.party_id, 0, "cash"), lots * BOND_MICROS),
            (_purse(order.party_id, order.market_id, "obligation"), lots * LOT_TOKENS),
        ]
    for purse, delta in changes:
        purse.held += delta
        purse.save(update_fields=["held"])
        HoldLine.objects.create(purse=purse, delta=delta, held_after=purse.held)


def _purse(party_id: int, contract_id: int, role: str) -> Purse:
    purses: models.QuerySet[Purse] = Purse.objects.select_for_update()
    purse, _ = purses.get_or_create(party_id=party_id, contract_id=contract_id, role=role)
    return purse


def _close(order: Offer, status: str) -> None:
    order.status, order.closed_at = status, datetime.now(UTC)
    order.save(update_fields=["remaining_lots", "status", "closed_at"])
