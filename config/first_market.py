"""The market that `make run` starts with, and the keys of the bots that keep it trading."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from django.db import transaction

from config.catalogue import BUYERS, PROVIDERS
from config.market_setup import (
    AUDITOR,
    OPERATORS,
    Credentials,
    MarketPlan,
    is_set_up,
    issue_party_key,
    set_up_market,
)
from config.private_files import private_folder, write_private
from ledger.errors import NotAuthenticated
from ledger.parties.keys import authenticate
from ledger.selectors.parties import get_party

LOT_TOKENS = 100_000
WINDOW_SECONDS = 600
LOTS_A_WEIGHT = 40  # a provider can deliver so many lots a window for each of its weights
DEPOSIT_MICROS = 1_000_000 * 1_000_000
BOT_KEYS_FILE = "live_market_keys.json"


def seed(say: Callable[[str], object], *, now: datetime) -> bool:
    """Set the market up unless there is one, and say each login and API key; tells whether it did."""
    with transaction.atomic():
        if is_set_up():
            say("The market is set up; its logins and keys were shown when that was done.")
            return False
        say("Setting up a market; hashing its passwords takes a moment …")
        # Shown before the commit: credentials that nobody has seen would be worse than some that do not work.
        _show(set_up_market(market_plan(), logins=True, now=now), say)
    return True


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
