"""The rolling calendar: list every window that a rule wants listed by now and that is not."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from exchange.commands.list_contract import ListContract, list_contract
from exchange.listing_calendar import listing_prices, windows_ahead
from exchange.models import Contract, ContractState, ListingRule
from exchange.rows import product_terms
from exchange.windows import DAY, MONTH, Window
from ledger.errors import DomainError

ACTOR = "calendar"
MAX_REFUSAL = 300
SHORTEST_MONTH = timedelta(seconds=28 * DAY)


def list_due_windows(now: datetime) -> list[str]:
    """List what is due under all rules, one contract a transaction; returns the new symbols.

    It may run at any time and as often as one likes: a window is listed once, also one that was cancelled since. After
    a pause it catches up with the windows whose gate is still to close. A rule whose contract is refused keeps the
    refusal, and does not stop the others.
    """
    listed: list[str] = []
    for rule in ListingRule.objects.filter(paused=False).select_related("product").order_by("id"):
        try:
            for window in _missing(rule, now):
                listed += _list(rule.pk, window, now)
        except DomainError as refusal:
            _keep_refusal(rule, refusal.message)
        else:
            _keep_refusal(rule, "")
    return listed


def _missing(rule: ListingRule, now: datetime) -> list[Window]:
    wanted = windows_ahead(
        now,
        rule.window_seconds,
        count=rule.windows_ahead,
        gate_close_lead=timedelta(seconds=rule.gate_close_lead_seconds),
    )
    found = Contract.objects.filter(
        product=rule.product, delivery_start__gte=wanted[0].start, delivery_start__lte=wanted[-1].start
    )
    listed = set(found.values_list("delivery_start", "delivery_end"))
    return [window for window in wanted if (window.start, window.end) not in listed]


@transaction.atomic
def _list(rule_id: int, window: Window, now: datetime) -> list[str]:
    """Under the rule's lock, so that two at once list a window once and a rule that is changed is followed as it is."""
    rule = ListingRule.objects.select_for_update(of=("self",)).select_related("product").get(pk=rule_id)
    there = Contract.objects.filter(product=rule.product, delivery_start=window.start, delivery_end=window.end)
    if rule.paused or there.exists():
        return []
    prices = listing_prices(
        _listing_ticks(rule), band_low_permille=rule.band_low_permille, band_high_permille=rule.band_high_permille
    )
    command = ListContract(
        product_code=rule.product.code,
        delivery_start=window.start,
        window_seconds=rule.window_seconds,
        gate_open=window.start - timedelta(seconds=rule.gate_open_lead_seconds),
        gate_close=window.start - timedelta(seconds=rule.gate_close_lead_seconds),
        listing_price_ticks=prices.listing_ticks,
        band_low_ticks=prices.band_low_ticks,
        band_high_ticks=prices.band_high_ticks,
        collar_permille=rule.collar_permille,
        shard=rule.shard,
    )
    return [list_contract(command, actor=ACTOR, now=now).symbol]


def _listing_ticks(rule: ListingRule) -> int:
    """The rule's own price, or the reference price of the gate that closed last among contracts of its length."""
    if not rule.follow_reference:
        return rule.listing_price_ticks
    length = timedelta(seconds=rule.window_seconds)
    alike = {"delivery_end": F("delivery_start") + length}
    if rule.window_seconds == MONTH:
        alike = {"delivery_end__gte": F("delivery_start") + SHORTEST_MONTH}
    closed = Contract.objects.filter(product=rule.product, reference_price_micros__isnull=False, **alike)
    last = closed.exclude(state=ContractState.CANCELLED).select_related("terms").order_by("-gate_close", "-id").first()
    if last is None or last.reference_price_micros is None:
        return rule.listing_price_ticks
    return max(1, last.reference_price_micros // product_terms(last).tick_micros)


def _keep_refusal(rule: ListingRule, refusal: str) -> None:
    told = refusal[:MAX_REFUSAL]
    if rule.refusal != told:
        ListingRule.objects.filter(pk=rule.pk).update(refusal=told)
