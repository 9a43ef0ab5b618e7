"""Random journals and random edits: the audit's implementations agree with the first ones, and with each other."""

from __future__ import annotations

import random
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from ledger.audit.checks import chains
from ledger.audit.layout import WHOLE
from ledger.audit.snapshot import Base, View
from ledger.chart import AccountKey, AssetKind, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.models import Asset
from tests.audits import audit, findings
from tests.conftest import DatabaseUrls
from tests.integration.ledger.audited import Audited
from tests.integration.ledger.logbook import Logbook

SHAPES = 60
EDITS = 60
TEXTS = ("", "a", "Überweisung · 支付 · 🪙", "🪙" * 120, "\\x41", "'; --", "%s %(first)s")


def draw_seed() -> random.Random:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


def random_draft(book: Logbook, assets: list[int], number: int, dice: random.Random) -> TransactionDraft:
    """Legs in several assets over accounts of both sides, with holds that come and go, at any time."""
    legs = []
    for asset in dice.sample(assets, dice.randint(0, len(assets))):
        amounts = [dice.randint(1, 10**12) for _ in range(dice.randint(1, 12))]
        external = AccountKey(book.house, asset, Role.EXTERNAL)
        parties = [dice.choice([book.ada, book.bob, book.eve]) for _ in amounts]
        legs += [
            Leg(AccountKey(party, asset, Role.CASH), amount, dice.choice(TEXTS))
            for party, amount in zip(parties, amounts, strict=True)
        ]
        legs.append(Leg(external, -sum(amounts), dice.choice(TEXTS)))
    dice.shuffle(legs)
    holds = tuple(
        HoldChange(leg.account, dice.randint(1, leg.amount), dice.choice(TEXTS)) for leg in legs if leg.amount > 0
    )
    moment = datetime(1969, 12, 31, 23, tzinfo=UTC) + timedelta(microseconds=dice.randrange(10**16))
    return TransactionDraft("random", dice.choice(TEXTS)[:32] or "s", f"{number} ä", moment, tuple(legs), holds[:3])


def test_random_journals_of_every_shape_are_clean(database: DatabaseUrls) -> None:
    dice = draw_seed()
    book = Logbook()
    more = [Asset.objects.create(code=f"C{n}", kind=AssetKind.CURRENCY, scale=6).id for n in range(3)]
    drafts = [random_draft(book, [book.currency, *more], number, dice) for number in range(SHAPES)]
    while drafts:
        size = dice.randint(1, 9)
        book.post(*drafts[:size])
        drafts = drafts[size:]
    book.publish()
    found = findings(audit())
    found.pop("holds", None)  # these are held for nothing but the test
    assert found == {}


@pytest.mark.parametrize("chain", [chains._ENTRIES, chains._HOLDS], ids=["entries", "holds"])
def test_the_fingerprint_and_the_walk_say_the_same_of_any_edit(database: DatabaseUrls, chain: chains._Chain) -> None:
    dice = draw_seed()
    audited = Audited.build()
    for number in range(5):
        audited.pay(100 + number)
    columns = [chain.number, chain.amount, chain.after, "account_id", "transaction_id"]
    columns += ["asset_id"] if chain is chains._ENTRIES else []
    with psycopg.connect(database.owner_url) as owner:
        places = owner.execute(f"SELECT ctid::text FROM {chain.table}".encode()).fetchall()
    broken = whole = 0
    for _ in range(EDITS):
        (place,), column = dice.choice(places), dice.choice(columns)
        edit = random_edit(column, dice)
        with psycopg.connect(database.owner_url) as owner:
            owner.execute(f"ALTER TABLE {chain.table} DISABLE TRIGGER USER".encode())
            try:
                owner.execute(f"UPDATE {chain.table} SET {column} = {edit} WHERE ctid = '{place}'".encode())
            except psycopg.IntegrityError:  # a number that is taken
                owner.rollback()
                continue
            fingerprint, walk = both_answers(owner, chain, dice)
            owner.rollback()
        assert fingerprint == walk, (column, edit, place)
        broken, whole = broken + walk, whole + (not walk)
    assert broken > 0
    assert whole > 0  # edits that change nothing of the chain are among them


def random_edit(column: str, dice: random.Random) -> str:
    high = dice.choice([1, 2, 255, 2**31 - 1])
    return dice.choice(
        [
            f"{column} + {dice.choice([-1, 1, 2**20, 0])}",
            f"{column} # (({high}::bigint << 32) | {high})",  # the same when the halves are folded together
            f"{column} # ({high}::bigint << 32)",
            column,
        ]
    )


def both_answers(owner: psycopg.Connection[Any], chain: chains._Chain, dice: random.Random) -> tuple[bool, bool]:
    """Whether the fingerprint, and whether the walk, finds the chain broken, seen by who edits it."""
    view = View(owner, Base(), dice.getrandbits(62))
    fingerprint = chains._whole(view, chain) is None
    return fingerprint, bool(view.rows(chain.fill(chains._BROKEN), asdict(WHOLE[0])))
