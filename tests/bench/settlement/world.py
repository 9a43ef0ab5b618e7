"""What settlement's benchmarks settle: delivered contracts with a position of every buyer with every provider.

Trades are put straight into the ledger and the fills, usage straight into the events, as trading and intake leave them;
everything after that is the product's own. Of every 50 requests the meters differ on one, by a token.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, connections, transaction

from config.demo.display import Advance
from exchange.commands.list_contract import ListContract, list_contract
from exchange.commands.list_product import ListProduct, list_product
from exchange.models import Contract, ContractState, Fill
from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.keys.ring import ensure_current_key
from ledger.models import Party, PartyKind
from ledger.parties.commands import register_currency, register_party
from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.commands.set_share_schedule import SetShareSchedule, set_share_schedule
from settlement.metering.weights import plain_weights
from settlement.models import MeterSide
from tests.product_terms import TERMS

ACTOR = "bench"
CODE = "BENCH-MODEL.CN-EAST.STD"
HOUR = timedelta(hours=1)
TOKENS, NOTIONAL, BUYER_FEE, BOND = 100_000, 420_000, 840, 1_000_000  # of a position
SHARED_BY = 5  # every fifth provider shares its income with two others
SHARES = {
    "compute": {"ppm": 700_000, "party": ""},
    "model": {"ppm": 200_000, "party": "model-lab"},
    "power": {"ppm": 100_000, "party": "power-works"},
}
_WEIGHTS = plain_weights(input_milli=1_000, cache_read_milli=100, output_milli=4_000).as_dict()

_CALLS = """
INSERT INTO settlement_usagebatch (id, party_id, actor, received_at, body_digest, accepted, duplicates, conflicts,
                                   quarantined, rejected)
SELECT nextval('settlement_usagebatch_id_seq'), party, 'bench', %(received)s, sha256(party::text::bytea), 1, 0, 0, 0, 0
  FROM unnest(%(parties)s::bigint[]) AS party RETURNING party_id, id
"""
# n tells a request of the contract; both sides report it, the buyer of every fiftieth a token less.
_EVENTS = """
INSERT INTO settlement_usageevent (
    received_at, batch_id, place, accepted_at, event_time, meter_id, contract_id, buyer_id, provider_id, input_uncached,
    output_visible, millitokens, adapter_version, kind, event_id, content_hash, request_id, family, ttft_ms, output_ms)
SELECT %(received)s, batch, row_number() OVER (PARTITION BY batch), at, at, meter, %(contract)s, buyer, provider, input,
       output, input * 1000 + output * 4000, 1, 'completed', request || side, sha256((request || side)::bytea), request,
       'openai_chat', 300 + n %% 500, output * 20
  FROM (SELECT pair.buyer, pair.provider, side, meter, batch, n,
               md5(%(contract)s || '/' || pair.buyer || '/' || pair.provider || '/' || n) AS request,
               %(start)s + (n * 61 + pair.buyer * 7 + pair.provider) %% 3600 * interval '1 second' AS at,
               1500 + (n * 613 + pair.buyer * 31) %% 3000 AS input,
               400 + (n * 97 + pair.provider * 13) %% 600
               - CASE WHEN side = 'b' AND (n + pair.buyer + pair.provider) %% 50 = 0 THEN 1 ELSE 0 END AS output
          FROM (SELECT buyer, provider FROM unnest(%(buyers)s::bigint[]) AS buyer
                 CROSS JOIN unnest(%(providers)s::bigint[]) AS provider) AS pair
         CROSS JOIN generate_series(1, %(requests)s) AS n
         CROSS JOIN LATERAL (VALUES ('p', pair.provider), ('b', pair.buyer)) AS told(side, party)
          JOIN unnest(%(parties)s::bigint[], %(meters)s::bigint[], %(batches)s::bigint[]) AS known(party, meter, batch)
            ON known.party = told.party) AS made
"""


@dataclass(frozen=True, slots=True)
class Sizes:
    """`buyers` times `providers` positions in each contract, each with `requests` that both sides report."""

    contracts: int = 50
    buyers: int = 100
    providers: int = 20
    requests: int = 10

    @property
    def positions(self) -> int:
        return self.buyers * self.providers

    @property
    def events(self) -> int:
        return 2 * self.requests * self.positions


@dataclass(frozen=True, slots=True)
class World:
    """Contracts in order of delivery, an hour each, ready to be settled."""

    contracts: list[Contract]


def open_world(sizes: Sizes, advance: Advance) -> World:
    """Everybody with money enough, and every window over."""
    now = datetime.now(UTC)
    currency_id = register_currency("CNY", actor=ACTOR, now=now).pk
    house = register_party("house", "House", PartyKind.HOUSE, actor=ACTOR, now=now)
    ensure_current_key(actor=ACTOR, now=now)
    terms = replace(TERMS, weights=_WEIGHTS)
    list_product(ListProduct(CODE, "Benchmark", terms), actor=ACTOR, now=now)
    for code in ("model-lab", "power-works"):
        register_party(code, code, PartyKind.BENEFICIARY, actor=ACTOR, now=now)
    buyers = [_trader(f"buyer-{n:03d}", PartyKind.BUYER, MeterSide.BUYER, now) for n in range(sizes.buyers)]
    providers = [
        _trader(f"provider-{n:03d}", PartyKind.PROVIDER, MeterSide.PROVIDER, now) for n in range(sizes.providers)
    ]
    ended = now.replace(minute=0, second=0, microsecond=0)
    longest = ended - sizes.contracts * HOUR - 4 * HOUR
    for provider, _ in providers[::SHARED_BY]:
        set_share_schedule(SetShareSchedule(provider.pk, CODE, SHARES), actor=ACTOR, now=longest)
    listed = [_list_contract(ended - n * HOUR) for n in range(sizes.contracts, 0, -1)]
    _deposit(buyers, providers, currency_id, house, sizes, now)
    for contract in listed:
        _trade(contract, [each for each, _ in buyers], [each for each, _ in providers], currency_id, house, now)
        _use(contract, buyers, providers, sizes)
        advance()
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE")
    return World(listed)


def _trader(code: str, kind: PartyKind, side: MeterSide, now: datetime) -> tuple[Party, int]:
    party = register_party(code, code, kind, actor=ACTOR, now=now)
    return party, register_meter(RegisterMeter(party.pk, f"meter/{code}", side), actor=ACTOR, now=now).pk


def _list_contract(start: datetime) -> Contract:
    command = ListContract(
        product_code=CODE,
        delivery_start=start,
        window_seconds=3_600,
        gate_open=start - 2 * HOUR,
        gate_close=start,
        listing_price_ticks=420,
        band_low_ticks=1,
        band_high_ticks=1_000,
    )
    return list_contract(command, actor=ACTOR, now=start - 3 * HOUR)


@transaction.atomic
def _deposit(
    buyers: list[tuple[Party, int]],
    providers: list[tuple[Party, int]],
    currency_id: int,
    house: Party,
    sizes: Sizes,
    now: datetime,
) -> None:
    """Money for all trades and all bonds."""
    outside = AccountKey(house.pk, currency_id, Role.EXTERNAL)
    each = {party.pk: (NOTIONAL + BUYER_FEE) * sizes.providers * sizes.contracts for party, _ in buyers}
    each |= {party.pk: BOND * sizes.buyers * sizes.contracts for party, _ in providers}
    legs = [Leg(AccountKey(party_id, currency_id, Role.CASH), micros) for party_id, micros in each.items()]
    draft = TransactionDraft("deposit", ACTOR, "deposits", now, (Leg(outside, -sum(each.values())), *legs))
    journal.post([draft], actor=ACTOR, now=now)


def _trade(
    contract: Contract, buyers: list[Party], providers: list[Party], currency_id: int, house: Party, now: datetime
) -> None:
    """A position of every buyer with every provider, and the contract as it stands after delivery."""
    legs: Counter[AccountKey] = Counter()
    escrow = AccountKey(house.pk, currency_id, Role.ESCROW, contract.symbol)
    pairs = len(buyers) * len(providers)
    for buyer in buyers:
        legs[AccountKey(buyer.pk, currency_id, Role.CASH)] -= (NOTIONAL + BUYER_FEE) * len(providers)
        legs[AccountKey(buyer.pk, contract.asset_id, Role.ENTITLEMENT)] += TOKENS * len(providers)
    for provider in providers:
        legs[AccountKey(provider.pk, contract.asset_id, Role.OBLIGATION)] -= TOKENS * len(buyers)
    legs[escrow] += NOTIONAL * pairs
    legs[AccountKey(house.pk, currency_id, Role.FEES)] += BUYER_FEE * pairs
    cash = (AccountKey(provider.pk, currency_id, Role.CASH) for provider in providers)
    holds = tuple(HoldChange(key, BOND * len(buyers), "bond") for key in cash)
    entries = tuple(Leg(key, amount) for key, amount in legs.items())
    draft = TransactionDraft("trade", ACTOR, contract.symbol, contract.gate_close, entries, holds)
    owed = {key: amount for key, amount in legs.items() if key.role is Role.OBLIGATION}
    with transaction.atomic():
        journal.set_floors(owed, actor=ACTOR, reason="capacity", now=now)
        journal.post([draft], actor=ACTOR, now=now)
        Contract.objects.filter(pk=contract.pk).update(
            state=ContractState.DELIVERED,
            obligations_hash=bytes(32),
            reference_price_micros=NOTIONAL * 10,
            reference_step="listing",
        )
    with transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE exchange_fill DISABLE TRIGGER fills_match_journal")
        first = contract.pk * 1_000_000
        Fill.objects.using("owner").bulk_create(
            _fill(contract, first + n, pair) for n, pair in enumerate(_pairs(buyers, providers))
        )
        cursor.execute("ALTER TABLE exchange_fill ENABLE ALWAYS TRIGGER fills_match_journal")


def _pairs(buyers: list[Party], providers: list[Party]) -> list[tuple[Party, Party]]:
    return [(buyer, provider) for buyer in buyers for provider in providers]


def _fill(contract: Contract, number: int, pair: tuple[Party, Party]) -> Fill:
    return Fill(
        id=number,
        contract_id=contract.pk,
        trade_no=number,
        buy_order_id=number,
        sell_order_id=number,
        buyer_id=pair[0].pk,
        provider_id=pair[1].pk,
        taker_side="buy",
        price_ticks=420,
        lots=1,
        tokens=TOKENS,
        notional=NOTIONAL,
        buyer_fee=BUYER_FEE,
        buyer_fee_ppm=2_000,
        provider_fee_ppm=3_000,
        bond=BOND,
        overage_tokens=0,
        overage_hold=0,
        executed_at=contract.gate_close,
        batch_no=1,
    )


@transaction.atomic
def _use(contract: Contract, buyers: list[tuple[Party, int]], providers: list[tuple[Party, int]], sizes: Sizes) -> None:
    """A call of each meter with all its events of the contract, received when the window was over."""
    meters = {party.pk: meter for party, meter in [*buyers, *providers]}
    given: dict[str, Any] = {
        "received": contract.delivery_end,
        "start": contract.delivery_start,
        "contract": contract.pk,
        "parties": list(meters),
        "meters": list(meters.values()),
        "buyers": [party.pk for party, _ in buyers],
        "providers": [party.pk for party, _ in providers],
        "requests": sizes.requests,
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT settlement_ensure_usage_partition(%s::date)", [contract.delivery_end])
        cursor.execute(_CALLS, given)
        calls = dict(cursor.fetchall())
        cursor.execute(_EVENTS, given | {"batches": [calls[party_id] for party_id in meters]})
