"""A small market for the exchange's tests, built and moved through the real commands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from exchange.capacity import Allocation
from exchange.commands.declare_capacity import DeclareCapacity, declare_capacity
from exchange.commands.list_contract import ListContract, list_contract
from exchange.commands.list_product import ListProduct, list_product
from exchange.commands.place_order import PlaceOrder, place_order
from exchange.commands.post_offer import PostOffer, post_offer
from exchange.commands.qualify_provider import QualifyProvider, qualify_provider
from exchange.commands.register_site import RegisterSite, register_site
from exchange.commands.sweep_contract_life import sweep_contract_life
from exchange.matching.types import Side, TimeInForce
from exchange.models import Contract, Product
from exchange.sequencer.loop import drain
from exchange.sequencer.results import find_result
from ledger.chart import AccountKey, Role
from ledger.journal import AccountState, load_accounts
from ledger.models import Asset, Party, PartyKind
from ledger.parties.commands import register_currency, register_party
from tests import product_terms
from tests.two_operators import deposit

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
START = datetime(2026, 12, 1, 14, tzinfo=UTC)
HOUR = 3_600
TERMS = product_terms.TERMS
LOT = TERMS.lot_tokens
LOTS_OF_SITE = 360  # 10,000 tokens/s for an hour
ACTOR = "tests"
CODE = "QWEN3-235B.CN-EAST.STD"
SYMBOL = "QWEN3-235B.CN-EAST.STD@20261201T14/1H"


@dataclass(slots=True)
class MovedClock:
    """A clock that the test moves."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass(slots=True)
class Market:
    """One product, one qualified provider with a site of 10,000 tokens/s, and one contract open for trading.

    The tick is 0.01 per million tokens, a lot at one tick is worth 1,000 micros; the band is 1 to 1,000 ticks, so a
    lot's bond is 1,000,000 micros.
    """

    clock: MovedClock = field(default_factory=MovedClock)
    currency: Asset = field(init=False)
    product: Product = field(init=False)
    provider: Party = field(init=False)
    site_id: int = field(init=False)
    contract: Contract = field(init=False)

    def __post_init__(self) -> None:
        register_party("house", "The house", PartyKind.HOUSE, actor=ACTOR, now=NOW)
        self.currency = register_currency("CNY", actor=ACTOR, now=NOW)
        self.product = list_product(ListProduct(CODE, "A product", TERMS), actor=ACTOR, now=NOW)
        self.provider = self.seller("provider-1")
        self.site_id = register_site(RegisterSite(self.provider.id, "site", "cn-east"), actor=ACTOR, now=NOW).id
        self.declare(10_000)
        self.contract = self.list_window(START)
        self.sweep()

    def seller(self, code: str) -> Party:
        """A qualified provider with money for bonds, without a site."""
        party = self.party(code, PartyKind.PROVIDER, 1_000_000_000)
        self.qualify(party)
        return party

    def qualify(self, party: Party) -> None:
        command = QualifyProvider(
            provider_id=party.id,
            product_code=CODE,
            endpoint_url="https://api.example.com/v1",
            model_name="qwen3-235b",
            access="A key is sent to each buyer at the gate.",
            entitlement_attested_by="counsel",
            valid_from=NOW - timedelta(days=1),
            valid_until=NOW + timedelta(days=30),
        )
        qualify_provider(command, actor=ACTOR, now=NOW)

    def party(self, code: str, kind: PartyKind = PartyKind.BUYER, micros: int = 100_000_000) -> Party:
        party = register_party(code, code, kind, actor=ACTOR, now=NOW)
        if micros:
            deposit(party.id, self.currency.id, micros, reference=f"first {code}", now=NOW)
        return party

    def declare(self, tokens_per_s: int, *, ppm: int = 1_000_000, seconds: int = HOUR) -> None:
        allocation = Allocation(self.product.id, seconds, ppm)
        command = DeclareCapacity(self.provider.id, self.site_id, {"tokens_per_s": tokens_per_s}, (allocation,))
        declare_capacity(command, actor=ACTOR, now=self.clock.at)

    def list_window(self, start: datetime, seconds: int = HOUR, **changes: Any) -> Contract:
        figures: dict[str, Any] = {
            "product_code": CODE,
            "delivery_start": start,
            "window_seconds": seconds,
            "gate_open": NOW - timedelta(hours=1),
            "gate_close": start - timedelta(minutes=30),
            "listing_price_ticks": 420,
            "band_low_ticks": 1,
            "band_high_ticks": 1_000,
        }
        return list_contract(ListContract(**(figures | changes)), actor=ACTOR, now=self.clock.at)

    def sweep(self) -> list[dict[str, Any]]:
        """Let the clock act on contracts, and the sequencer on what comes of it."""
        return self.results(sweep_contract_life(self.clock.at))

    def offer(self, lots: int, price_ticks: int, start: datetime = START) -> dict[str, Any]:
        """One window's offer, decided."""
        command = PostOffer(self.provider.id, CODE, HOUR, start, start, lots, price_ticks)
        posted = post_offer(command, actor=ACTOR, now=self.clock.at)
        (result,) = self.results([posted.orders[0].seq])
        return result

    def buy(self, party: Party, lots: int, price_ticks: int, **more: Any) -> dict[str, Any]:
        """A buy order, decided."""
        (result,) = self.results([self.submit_buy(party, lots, price_ticks, **more)])
        return result

    def submit_buy(self, party: Party, lots: int | None, price_ticks: int | None, **more: Any) -> int:
        fixed: dict[str, Any] = {"symbol": SYMBOL, "side": Side.BUY, "time_in_force": TimeInForce.GTC}
        command = PlaceOrder(party_id=party.id, lots=lots, price_ticks=price_ticks, **(fixed | more))
        return place_order(command, actor=ACTOR, now=self.clock.at).seq

    def results(self, seqs: list[int]) -> list[dict[str, Any]]:
        drain(self.clock)
        found = [find_result(seq) for seq in seqs]
        return [result for result in found if result is not None]

    def cash(self, party: Party) -> AccountState:
        key = AccountKey(party.id, self.currency.id, Role.CASH)
        return load_accounts([key])[key]

    def tokens(self, party: Party, role: Role) -> AccountState:
        key = AccountKey(party.id, self.contract.asset_id, role)
        return load_accounts([key])[key]
