"""Celery tasks of the exchange: rung by beat, they look up themselves what is due."""

from __future__ import annotations

from celery import shared_task

from exchange.commands import list_due_windows as calendar
from exchange.commands import place_due_offer_orders as offers
from exchange.commands import sweep_contract_life as life
from exchange.fees import count_volumes
from exchange.market_data import rollup
from ledger.clock import get_clock


@shared_task(name="exchange.sweep_contract_life")
def sweep_contract_life() -> None:
    """Open and close gates, start and end deliveries."""
    life.sweep_contract_life(get_clock().now())


@shared_task(name="exchange.roll_up_candles")
def roll_up_candles() -> None:
    """Count new fills, and fills that were taken back, into the candles."""
    rollup.roll_up()


@shared_task(name="exchange.list_due_windows")
def list_due_windows() -> None:
    """List the windows that the calendar's rules want listed by now."""
    calendar.list_due_windows(get_clock().now())


@shared_task(name="exchange.place_due_offer_orders")
def place_due_offer_orders() -> None:
    """Give standing offers their orders in windows that have come into trade."""
    offers.place_due_offer_orders(get_clock().now())


@shared_task(name="exchange.count_party_volumes")
def count_party_volumes() -> None:
    """Count what each party traded, which decides on its fees."""
    count_volumes(get_clock().now())
