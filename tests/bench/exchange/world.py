"""The market that the exchange's benchmarks trade on: open contracts, funded buyers, providers with capacity.

It is that of a venue that has been running: every account that trading can touch is open, the tables are analysed as
autovacuum would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TypeVar

from django.db import connection, connections, transaction

from config.demo.display import Advance
from exchange.commands.list_contract import ListContract, list_contract
from exchange.commands.list_product import ListProduct, list_product
from exchange.models import Contract, ContractState, Qualification
from ledger import journal
from ledger.chart import AccountKey, AssetKind, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.models import Asset, Party, PartyKind
from tests.product_terms import TERMS

T = TypeVar("T")

ACTOR = "bench"
CODE = "BENCH-MODEL.CN-EAST.STD"
HOUR = timedelta(hours=1)
LOT_TOKENS = TERMS.lot_tokens
MID_TICKS = 500
FUNDS = 10**15  # micros of every party
CAPACITY = 10**14  # contract tokens of every provider in every contract
AT_ONCE = 20_000
LEGS_A_DRAFT = 500
DRAFTS_A_BATCH = 20


@dataclass(frozen=True, slots=True)
class World:
    """Ids of what is there."""

    contracts: list[int]
    buyers: list[int]
    providers: list[int]


def steps(contracts: int, parties: int) -> int:
    """What `open_world` advances by."""
    return contracts * parties


def open_world(contracts: int, parties: int, advance: Advance) -> World:
    """Half of the parties buy, the other half are qualified and sell; by the product's own doors where it counts."""
    now = datetime.now(UTC)
    currency = Asset.objects.create(code="CNY", kind=AssetKind.CURRENCY, scale=6)
    house, *others = _register_parties(parties, now)
    buyers, providers = others[: parties // 2], others[parties // 2 :]
    listed = _list_contracts(contracts, now)
    _qualify(providers, listed[0].product_id, now)
    assets = [contract.asset_id for contract in listed]
    _open([AccountKey(buyer, asset, Role.ENTITLEMENT) for buyer, asset in product(buyers, assets)], advance)
    sold = [AccountKey(provider, asset, Role.OBLIGATION) for provider, asset in product(providers, assets)]
    for part in _parts(sold, AT_ONCE):
        with transaction.atomic():
            journal.set_floors(dict.fromkeys(part, -CAPACITY), actor=ACTOR, reason="Benchmark", now=now)
        advance(len(part))
    _open([AccountKey(house, currency.id, Role.ESCROW, contract.symbol) for contract in listed])
    _open([AccountKey(house, currency.id, role) for role in (Role.FEES, Role.EXTERNAL)])
    _fund(AccountKey(house, currency.id, Role.EXTERNAL), [AccountKey(id, currency.id, Role.CASH) for id in others], now)
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")
    return World([contract.id for contract in listed], buyers, providers)


def find_world() -> World:
    """The one that stands in the database."""
    by_kind = {kind: list(Party.objects.filter(kind=kind).values_list("id", flat=True)) for kind in PartyKind}
    contracts = list(Contract.objects.values_list("id", flat=True))
    return World(contracts, by_kind[PartyKind.BUYER], by_kind[PartyKind.PROVIDER])


def _register_parties(parties: int, now: datetime) -> list[int]:
    """The house, and that many."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO ledger_party (code, name, kind, created_at)
            SELECT 'p' || n, 'P' || n, CASE WHEN n = 0 THEN %s WHEN n <= %s THEN %s ELSE %s END, %s
              FROM generate_series(0, %s) n ORDER BY n RETURNING id
            """,
            [PartyKind.HOUSE, parties // 2, PartyKind.BUYER, PartyKind.PROVIDER, now, parties],
        )
        return sorted(party for (party,) in cursor.fetchall())


def _list_contracts(count: int, now: datetime) -> list[Contract]:
    """Hourly windows from tomorrow on, open for trading."""
    list_product(ListProduct(CODE, "Benchmark", TERMS), actor=ACTOR, now=now)
    first = (now + 24 * HOUR).replace(minute=0, second=0, microsecond=0)
    listed = []
    for start in (first + n * HOUR for n in range(count)):
        command = ListContract(
            product_code=CODE,
            delivery_start=start,
            window_seconds=3_600,
            gate_open=now - HOUR,
            gate_close=start,
            listing_price_ticks=MID_TICKS,
            band_low_ticks=1,
            band_high_ticks=2 * MID_TICKS,
        )
        listed.append(list_contract(command, actor=ACTOR, now=now))
    Contract.objects.update(state=ContractState.TRADING)
    return listed


def _qualify(providers: Sequence[int], product_id: int, now: datetime) -> None:
    Qualification.objects.bulk_create(
        Qualification(
            provider_id=provider,
            product_id=product_id,
            endpoint_url="https://api.example.com/v1",
            model_name="bench",
            access="A key.",
            entitlement_attested_by="counsel",
            valid_from=now - HOUR,
            valid_until=now + 10_000 * HOUR,
        )
        for provider in providers
    )


def _open(keys: Sequence[AccountKey], advance: Advance | None = None) -> None:
    for part in _parts(keys, AT_ONCE):
        with transaction.atomic():
            journal.open_accounts(part)
        if advance is not None:
            advance(len(part))


def _fund(outside: AccountKey, keys: Sequence[AccountKey], now: datetime) -> None:
    drafts = [
        TransactionDraft(
            kind="deposit",
            source="bench",
            reference=f"funds-{n}",
            effective_at=now,
            legs=(Leg(outside, -FUNDS * len(part)), *(Leg(key, FUNDS) for key in part)),
        )
        for n, part in enumerate(_parts(keys, LEGS_A_DRAFT))
    ]
    for batch in _parts(drafts, DRAFTS_A_BATCH):
        with transaction.atomic():
            journal.post(batch, actor=ACTOR, now=now)


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
