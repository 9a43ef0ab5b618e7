"""Let windows of a product be listed ahead by themselves, and stop that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.commands.list_contract import check_collar, check_shard
from exchange.errors import InvalidTerms
from exchange.listing_calendar import PERMILLE
from exchange.models import ListingRule
from exchange.models.contract_life import MAX_WINDOWS_AHEAD
from exchange.rows import find_product
from exchange.windows import DAY, check_length, format_length
from ledger.actions import record_action
from ledger.errors import NotFound, ReasonMissing

MAX_LEAD_SECONDS = 3_650 * DAY
MAX_BAND_PERMILLE = 100 * PERMILLE


@dataclass(frozen=True, slots=True)
class SetListingRule:
    """The rule of a product and window length; it replaces the one there is. See `ListingRule` for the figures."""

    product_code: str
    window_seconds: int
    windows_ahead: int
    gate_open_lead_seconds: int
    gate_close_lead_seconds: int
    listing_price_ticks: int
    follow_reference: bool
    band_low_permille: int
    band_high_permille: int
    collar_permille: int = 0
    shard: int = 1


@transaction.atomic
def set_listing_rule(command: SetListingRule, *, actor: str, now: datetime) -> ListingRule:
    """Make or change a rule; contracts that are listed stay as they are.

    Raises `UnknownProduct`, `InvalidWindow` and `InvalidTerms`.
    """
    product = find_product(command.product_code)
    check_length(command.window_seconds)
    _check(command)
    figures = {
        "windows_ahead": command.windows_ahead,
        "gate_open_lead_seconds": command.gate_open_lead_seconds,
        "gate_close_lead_seconds": command.gate_close_lead_seconds,
        "listing_price_ticks": command.listing_price_ticks,
        "follow_reference": command.follow_reference,
        "band_low_permille": command.band_low_permille,
        "band_high_permille": command.band_high_permille,
        "collar_permille": command.collar_permille,
        "shard": command.shard,
    }
    written = {"refusal": "", "changed_at": now, "changed_by": actor}
    rule, _ = ListingRule.objects.update_or_create(
        product=product, window_seconds=command.window_seconds, defaults=figures | written
    )
    _record("set_listing_rule", rule, actor=actor, now=now, details=figures)
    return rule


@transaction.atomic
def pause_listing_rule(rule_id: int, *, paused: bool, reason: str, actor: str, now: datetime) -> ListingRule:
    """Stop listing by a rule, or go on. Raises `NotFound` and `ReasonMissing`."""
    if not reason.strip():
        raise ReasonMissing("Pausing a rule and going on with it need a reason.", field="reason")
    rule = ListingRule.objects.select_for_update(of=("self",)).select_related("product").filter(pk=rule_id).first()
    if rule is None:
        raise NotFound(f"There is no listing rule {rule_id}.", rule=str(rule_id))
    rule.paused, rule.changed_at, rule.changed_by = paused, now, actor
    rule.save(update_fields=["paused", "changed_at", "changed_by"])
    action = "pause_listing_rule" if paused else "resume_listing_rule"
    _record(action, rule, actor=actor, now=now, reason=reason)
    return rule


def _check(command: SetListingRule) -> None:
    _require_within("windows_ahead", command.windows_ahead, 1, MAX_WINDOWS_AHEAD)
    _require_within("gate_close_lead_seconds", command.gate_close_lead_seconds, 0, MAX_LEAD_SECONDS - 1)
    _require_within(
        "gate_open_lead_seconds", command.gate_open_lead_seconds, command.gate_close_lead_seconds + 1, MAX_LEAD_SECONDS
    )
    _require_within("listing_price_ticks", command.listing_price_ticks, 1, 2**53)
    _require_within("band_low_permille", command.band_low_permille, 1, PERMILLE)
    _require_within("band_high_permille", command.band_high_permille, PERMILLE, MAX_BAND_PERMILLE)
    check_collar(command.collar_permille)
    check_shard(command.shard)


def _require_within(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidTerms(f"{field} must be from {low} to {high}.", field=field, value=value, low=low, high=high)


def _record(
    action: str,
    rule: ListingRule,
    *,
    actor: str,
    now: datetime,
    reason: str = "",
    details: dict[str, int | bool] | None = None,
) -> None:
    subject = f"listing_rule:{rule.product.code}/{format_length(rule.window_seconds)}"
    record_action(actor=actor, action=action, subject=subject, reason=reason, now=now, details=details)
