"""The market that `make run` starts with, and the keys of the bots that keep it trading."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from django.db import transaction

from config.catalogue import BUYERS, CURRENCY, MODELS, PROVIDERS, ListedModel
from config.market_setup import (
    ACTOR,
    AUDITOR,
    BAND_HIGH_PERMILLE,
    BAND_LOW_PERMILLE,
    OPERATORS,
    Credentials,
    MarketPlan,
    is_set_up,
    issue_party_key,
    set_up_market,
)
from config.private_files import private_folder, write_private
from exchange.commands.list_due_windows import list_due_windows
from exchange.commands.set_fee_schedule import SetFeeSchedule, set_fee_schedule
from exchange.commands.set_listing_rule import SetListingRule, set_listing_rule
from exchange.fee_schedule import Basis, FeeSchedule, Rates, Tier
from exchange.models import ListingRule, Product
from ledger.errors import NotAuthenticated
from ledger.parties.keys import authenticate
from ledger.selectors.parties import get_party

LOT_TOKENS = 100_000
WINDOW_SECONDS = 600
WINDOWS_AHEAD = 6
GATE_CLOSE_LEAD_SECONDS = 60
COLLAR_PERMILLE = 300
LOTS_A_WEIGHT = 40  # a provider can deliver so many lots a window for each of its weights
DEPOSIT_MICROS = 1_000_000 * 1_000_000
BOT_KEYS_FILE = "live_market_keys.json"
# By what a party traded in 30 days, in a market whose lots cost some cents: what it is charged of the contract's rate.
FEE_TIERS = (
    Tier(0, buyer=Rates(800_000, 1_000_000), provider=Rates(800_000, 1_000_000)),
    Tier(5 * 1_000_000, buyer=Rates(600_000, 900_000), provider=Rates(600_000, 900_000)),
    Tier(100 * 1_000_000, buyer=Rates(400_000, 800_000), provider=Rates(400_000, 800_000)),
)


def seed(say: Callable[[str], object], *, now: datetime) -> bool:
    """Set the market up unless there is one, and say each login and API key; tells whether it did.

    Either way its windows are listed ahead by rules of the calendar, which a market of an earlier release has not.
    """
    with transaction.atomic():
        new = not is_set_up()
        if new:
            say("Setting up a market; hashing its passwords takes a moment …")
            # Shown before the commit: credentials that nobody has seen would be worse than some that do not work.
            _show(set_up_market(market_plan(), logins=True, now=now), say)
            _set_fees(now)
        else:
            say("The market is set up; its logins and keys were shown when that was done.")
        _set_calendar(now)
    list_due_windows(now)
    return new


def _set_fees(now: datetime) -> None:
    tiers = FeeSchedule(Basis.CONTRACT, FEE_TIERS)
    set_fee_schedule(SetFeeSchedule(CURRENCY, None, tiers, now, "the market's first"), actor=ACTOR, now=now)


def _set_calendar(now: datetime) -> None:
    """A rule for each product that has none for this length; those that operators changed or paused stay."""
    ruled = ListingRule.objects.filter(window_seconds=WINDOW_SECONDS).values("product")
    for code in Product.objects.filter(code__in=MODELS).exclude(id__in=ruled).values_list("code", flat=True):
        set_listing_rule(listing_rule(MODELS[code]), actor=ACTOR, now=now)


def listing_rule(model: ListedModel) -> SetListingRule:
    """List the next windows at the list price, and trade in each from then on."""
    return SetListingRule(
        product_code=model.code,
        window_seconds=WINDOW_SECONDS,
        windows_ahead=WINDOWS_AHEAD,
        gate_open_lead_seconds=(WINDOWS_AHEAD + 1) * WINDOW_SECONDS,
        gate_close_lead_seconds=GATE_CLOSE_LEAD_SECONDS,
        listing_price_ticks=model.list_price_ticks,
        follow_reference=False,
        band_low_permille=BAND_LOW_PERMILLE,
        band_high_permille=BAND_HIGH_PERMILLE,
        collar_permille=COLLAR_PERMILLE,
    )


def market_plan() -> MarketPlan:
    """The live market's sizes."""
    capacity = {
        facts.code: {product: weight * LOTS_A_WEIGHT * LOT_TOKENS for product, weight in facts.weights.items()}
        for facts in PROVIDERS
    }
    return MarketPlan(LOT_TOKENS, LOT_TOKENS, WINDOW_SECONDS, capacity, DEPOSIT_MICROS)


def keep_bot_keys(local_dir: Path, *, now: datetime) -> dict[str, str]:
    """API keys of the bots by party code, after making those that are missing or no longer work."""
    path = private_folder(local_dir) / BOT_KEYS_FILE
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    keys = {
        code: kept[code] if _works(kept.get(code)) else issue_party_key(get_party(code), "live market", now=now)
        for code in (facts.code for facts in (*PROVIDERS, *BUYERS))
    }
    if keys != kept:
        write_private(path, json.dumps(keys))
    return keys


def _works(key: str | None) -> bool:
    try:
        return key is not None and bool(authenticate(key))
    except NotAuthenticated:
        return False


def _show(credentials: Credentials, say: Callable[[str], object]) -> None:
    """One line a name, never cut: half a key is of no use."""
    say("Logins and API keys, shown now and never again (role, user or party, password, API key):")
    roles = dict.fromkeys(OPERATORS, "operator") | {AUDITOR: "auditor"}
    roles |= dict.fromkeys((facts.code for facts in PROVIDERS), "provider")
    roles |= dict.fromkeys((facts.code for facts in BUYERS), "buyer")
    for name, role in roles.items():
        if name in credentials.passwords or name in credentials.keys:
            password, key = credentials.passwords.get(name, "-"), credentials.keys.get(name, "-")
            say(f"  {role:8}  {name:10}  {password:16}  {key}")
