"""The accounts that the ledger's benchmarks move money and tokens between, and the drafts that do it."""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice

from django.db import connection, connections, transaction

from config.demo.display import Advance
from ledger import journal
from ledger.chart import AccountKey, AssetKind, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.models import Asset

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
ACTOR = "bench"
CONTRACTS = 100
FUNDS = 10**12  # of every account at the start, in its smallest unit
LEGS_A_DRAFT = 500
DRAFTS_A_BATCH = 20
ACCOUNTS_AT_ONCE = 20_000
STEPS = 2  # opened, funded


@dataclass(frozen=True, slots=True)
class Books:
    """Half of the accounts hold cash, the other half tokens of one of `CONTRACTS` contracts; all are funded."""

    cash: list[AccountKey]
    tokens: list[list[AccountKey]]

    def drafts(self, count: int, chance: random.Random, *, first: int, holds: int = 0) -> list[TransactionDraft]:
        """Transfers of cash and tokens between random accounts, numbered from `first`; `holds` hold changes each."""
        return [self._draft(first + n, chance, holds) for n in range(count)]

    def _draft(self, number: int, chance: random.Random, holds: int) -> TransactionDraft:
        buyer, seller = chance.sample(self.cash, 2)
        giver, taker = chance.sample(chance.choice(self.tokens), 2)
        price, tokens, fill = chance.randint(1, 10_000), chance.randint(1, 1_000), str(number)
        legs = (
            Leg(buyer, -price, fill),
            Leg(seller, price, fill),
            Leg(giver, -tokens, fill),
            Leg(taker, tokens, fill),
        )
        changes = tuple(HoldChange(account, 1, fill) for account in (seller, taker)[:holds])
        return TransactionDraft("fill", "bench", fill, NOW, legs, changes)


def open_books(accounts: int, advance: Advance) -> Books:
    """Open and fund that many accounts through the product's own doors, and analyse the tables as autovacuum would.

    Takes `STEPS` an account.
    """
    currency = Asset.objects.create(code="CNY", kind=AssetKind.CURRENCY, scale=6)
    contracts = Asset.objects.bulk_create(
        Asset(code=f"TOKENS-{n}", kind=AssetKind.CONTRACT, scale=0) for n in range(CONTRACTS)
    )
    house, *parties = _register_parties(accounts // 2)
    books = Books(
        [AccountKey(party, currency.id, Role.CASH) for party in parties],
        [
            [AccountKey(party, contract.id, Role.ENTITLEMENT) for party in parties[n::CONTRACTS]]
            for n, contract in enumerate(contracts)
        ],
    )
    sold = {AccountKey(house, contract.id, Role.OBLIGATION): -FUNDS * len(parties) for contract in contracts}
    outside = AccountKey(house, currency.id, Role.EXTERNAL)
    keys = [*books.cash, *chain.from_iterable(books.tokens)]
    for start in range(0, len(keys), ACCOUNTS_AT_ONCE):
        part = keys[start : start + ACCOUNTS_AT_ONCE]
        with transaction.atomic():
            journal.open_accounts(part)
        advance(len(part))
    with transaction.atomic():
        journal.open_accounts([outside, *sold])
        journal.set_floors(sold, actor=ACTOR, reason="Benchmark", now=NOW)
    _fund([(outside, books.cash), *zip(sold, books.tokens, strict=True)], advance)
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE ledger_party, ledger_account, ledger_transaction, ledger_entry")
    return books


def freeze_setup() -> None:
    """Take what the set-up made out of the garbage collector's sight: a writer would not have it in memory."""
    gc.collect()
    gc.freeze()


def _register_parties(buyers: int) -> list[int]:
    """The house and that many buyers, by id."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ledger_party (code, name, kind, created_at)
            SELECT 'p' || n, 'P' || n, CASE n WHEN 0 THEN 'house' ELSE 'buyer' END, %s FROM generate_series(0, %s) n
            ORDER BY n RETURNING id
            """,
            [NOW, buyers],
        )
        return sorted(party for (party,) in cursor.fetchall())


def _fund(groups: list[tuple[AccountKey, list[AccountKey]]], advance: Advance) -> None:
    drafts = _funding(groups)
    while batch := list(islice(drafts, DRAFTS_A_BATCH)):
        with transaction.atomic():
            journal.post(batch, actor=ACTOR, now=NOW)
        advance(sum(len(draft.legs) - 1 for draft in batch))


def _funding(groups: list[tuple[AccountKey, list[AccountKey]]]) -> Iterator[TransactionDraft]:
    for source, keys in groups:
        for start in range(0, len(keys), LEGS_A_DRAFT):
            part = keys[start : start + LEGS_A_DRAFT]
            legs = (Leg(source, -FUNDS * len(part)), *(Leg(key, FUNDS) for key in part))
            reference = f"funds-{source.asset_id}-{start}"
            yield TransactionDraft("deposit", "bench", reference, NOW, legs)
