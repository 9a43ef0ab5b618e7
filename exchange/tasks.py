"""Celery tasks of the exchange: rung by beat, they look up themselves what is due."""

from __future__ import annotations

from celery import shared_task

from exchange.commands import sweep_contract_life as life
from ledger.clock import get_clock


@shared_task(name="exchange.sweep_contract_life")
def sweep_contract_life() -> None:
    """Open and close gates, start and end deliveries."""
    life.sweep_contract_life(get_clock().now())
