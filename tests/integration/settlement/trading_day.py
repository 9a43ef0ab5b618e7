"""A market with something to settle, built and moved through the real commands: parties, trades, meters, runs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from exchange.capacity import Allocation
from exchange.commands.declare_capacity import DeclareCapacity, declare_capacity
from exchange.commands.list_contract import ListContract, list_contract
from exchange.commands.list_product import ListProduct, list_product
from exchange.commands.place_order import PlaceOrder, place_order
from exchange.commands.post_offer import PostOffer, post_offer
from exchange.commands.qualify_provider import QualifyProvider, qualify_provider
from exchange.commands.register_site import RegisterSite, register_site
from exchange.commands.sweep_contract_life import sweep_contract_life
from exchange.matching.types import Side
from exchange.models import Contract, Product
from exchange.sequencer.loop import drain
from exchange.sequencer.results import find_result
from exchange.terms import ModelBuild, ProductTerms, ServiceClass
from ledger.chart import Role
from ledger.keys.ring import ensure_current_key
from ledger.models import Account, Party, PartyKind
from ledger.parties.commands import register_currency, register_party
from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.commands.set_share_schedule import SetShareSchedule, set_share_schedule
from settlement.metering.events import COMPLETED_TYPE, REFUSED_TYPE
from settlement.metering.ingestion import ingest
from settlement.metering.results import ItemResult
from settlement.metering.signed_calls import Signer
from settlement.metering.weights import plain_weights
from settlement.models import MeterSide, RunKind, SettlementJob, SettlementRun
from settlement.runs.create import create_run
from settlement.runs.jobs import due_jobs
from settlement.runs.release import make_release_jobs
from settlement.runs.work import run_job
from tests.two_operators import deposit

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
START = datetime(2026, 12, 1, 14, tzinfo=UTC)
END = datetime(2026, 12, 1, 15, tzinfo=UTC)
HOUR = 3_600
LOT = 10_000
ACTOR = "tests"
NO_BODY = bytes(32)  # events are handed over as objects
CODE = "QWEN3-235B.CN-EAST.STD"
SYMBOL = "QWEN3-235B.CN-EAST.STD@20261201T14/1H"
REFUSED_OUTPUT = 256
REFUSED_OUTPUT_TOKENS = REFUSED_OUTPUT * 4  # in contract tokens

TERMS = ProductTerms(
    model=ModelBuild("Qwen3-235B-A22B", "fp8", 131_072, "qwen3"),
    region="cn-east",
    service_class=ServiceClass("standard", 2_000, 30, 995_000),
    weights=plain_weights(input_milli=1_000, cache_read_milli=100, output_milli=4_000).as_dict(),
    lot_tokens=LOT,
    max_request_tokens=LOT,
    tick_micros=10_000,
    currency="CNY",
    take_or_pay_permille=600,
    damages_permille=500,
    damages_cap_permille=1_000,
    burst_permille=1_500,
    refused_output_tokens=REFUSED_OUTPUT,
    buyer_fee_ppm=2_000,
    provider_fee_ppm=3_000,
    tax_category="standard",
    tax_rate_permille=60,
)
SHARES = {
    "compute": {"ppm": 700_000, "party": "grid-compute"},
    "model": {"ppm": 200_000, "party": "model-lab"},
    "power": {"ppm": 100_000, "party": "power-works"},
}


@dataclass(slots=True)
class MovedClock:
    """A clock that the test moves."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass(slots=True)
class TradingDay:
    """A product, two qualified providers that share their income, three buyers, and a contract open for trading.

    A tick is 0.01 per million tokens, a lot at one tick 100 micros; the band is 1 to 1,000 ticks, so a lot's bond is
    100,000 micros. Everybody has 100 CNY.
    """

    clock: MovedClock = field(default_factory=MovedClock)
    parties: dict[str, Party] = field(default_factory=dict)
    currency_id: int = field(init=False)
    product: Product = field(init=False)
    contract: Contract = field(init=False)

    def __post_init__(self) -> None:
        self.currency_id = register_currency("CNY", actor=ACTOR, now=NOW).id
        self._register("house", PartyKind.HOUSE, micros=0)
        ensure_current_key(actor=ACTOR, now=NOW, entropy=lambda size: bytes(range(size)))
        self.product = list_product(ListProduct(CODE, "A product", TERMS), actor=ACTOR, now=NOW)
        for code in ("grid-compute", "model-lab", "power-works"):
            self._register(code, PartyKind.BENEFICIARY, micros=0)
        for code in ("provider-1", "provider-2"):
            self._provider(code)
        for code in ("buyer-1", "buyer-2", "buyer-3"):
            self._register(code, PartyKind.BUYER)
            self._meter(code, MeterSide.BUYER)
        self.contract = self.list_window(START)
        self.sweep_contracts()

    def list_window(self, start: datetime) -> Contract:
        command = ListContract(
            product_code=CODE,
            delivery_start=start,
            window_seconds=HOUR,
            gate_open=NOW - timedelta(hours=1),
            gate_close=start - timedelta(minutes=30),
            listing_price_ticks=420,
            band_low_ticks=1,
            band_high_ticks=1_000,
        )
        return list_contract(command, actor=ACTOR, now=self.clock.at)

    def sweep_contracts(self) -> None:
        sweep_contract_life(self.clock.at)
        drain(self.clock)

    def sell(self, code: str, lots: int, price_ticks: int, start: datetime = START) -> None:
        command = PostOffer(self.parties[code].id, CODE, HOUR, start, start, lots, price_ticks)
        (order,) = post_offer(command, actor=ACTOR, now=self.clock.at).orders
        self._decide(order.seq)

    def buy(self, code: str, lots: int, price_ticks: int, *, overage_permille: int = 0, symbol: str = SYMBOL) -> None:
        command = PlaceOrder(
            self.parties[code].id, symbol, Side.BUY, price_ticks, lots, overage_permille=overage_permille
        )
        self._decide(place_order(command, actor=ACTOR, now=self.clock.at).seq)

    def deliver(self, until: datetime = END) -> None:
        """Let time pass to the end of delivery, with all that happens on the way."""
        while self.clock.at < until:
            self.clock.at = min(until, self.clock.at + timedelta(minutes=30))
            self.sweep_contracts()

    def report(self, code: str, events: Sequence[Any], signer: Signer | None = None) -> list[ItemResult]:
        """Usage events from a party's meters."""
        party_id, now = self.parties[code].id, self.clock.at
        body = msgspec.json.encode(events)
        return ingest(body, party_id=party_id, actor=ACTOR, signer=signer, body_digest=NO_BODY, now=now)

    def report_body(self, code: str, body: bytes) -> list[ItemResult]:
        """The same for a body as it comes."""
        party_id, now = self.parties[code].id, self.clock.at
        digest = hashlib.sha256(body).digest()
        return ingest(body, party_id=party_id, actor=ACTOR, signer=None, body_digest=digest, now=now)

    def report_both(self, buyer: str, provider: str, events: Sequence[dict[str, Any]]) -> None:
        """The same requests from the meters of both sides."""
        for code in (buyer, provider):
            for result in self.report(code, [event | {"source": f"meter/{code}"} for event in events]):
                assert result.status == "accepted", result

    def settle(self, kind: RunKind = RunKind.INITIAL) -> SettlementRun:
        """A run over the contract's hour, worked off."""
        run = create_run("CNY", START, END, kind, actor=ACTOR, now=self.clock.at)
        self.work_off()
        run.refresh_from_db()
        return run

    def work_off(self) -> None:
        while jobs := due_jobs(100):
            for job_id in jobs:
                run_job(job_id, owner="tests", now=self.clock.at)

    def hurry(self) -> None:
        """Whatever failed before is tried again at once."""
        SettlementJob.objects.update(not_before=None)

    def release(self) -> None:
        """What is held after the last run is freed, once nobody may dispute it any more."""
        make_release_jobs(self.clock.at + timedelta(days=1))
        self.work_off()

    def balance(self, code: str, role: Role = Role.CASH, qualifier: str = "") -> int:
        account = Account.objects.filter(
            party=self.parties[code], asset_id=self.currency_id, role=role, qualifier=qualifier
        ).first()
        return 0 if account is None else account.balance

    def held(self, code: str) -> int:
        return Account.objects.get(party=self.parties[code], asset_id=self.currency_id, role=Role.CASH).held

    def left_over(self) -> list[int]:
        """Every escrow, entitlement and obligation that is not zero."""
        roles = (Role.ESCROW, Role.ENTITLEMENT, Role.OBLIGATION)
        return list(Account.objects.filter(role__in=roles).exclude(balance=0).values_list("balance", flat=True))

    def _decide(self, seq: int) -> None:
        drain(self.clock)
        result = find_result(seq)
        assert result is not None
        assert result["status"] == "accepted", result

    def _register(self, code: str, kind: PartyKind, *, micros: int = 100_000_000) -> Party:
        party = register_party(code, code, kind, actor=ACTOR, now=NOW)
        if micros:
            deposit(party.id, self.currency_id, micros, reference=f"first {code}", now=NOW)
        self.parties[code] = party
        return party

    def _meter(self, code: str, side: MeterSide) -> None:
        register_meter(RegisterMeter(self.parties[code].id, f"meter/{code}", side), actor=ACTOR, now=NOW)

    def _provider(self, code: str) -> None:
        party = self._register(code, PartyKind.PROVIDER)
        self._meter(code, MeterSide.PROVIDER)
        qualification = QualifyProvider(
            provider_id=party.id,
            product_code=CODE,
            endpoint_url="https://api.example.com/v1",
            model_name="qwen3-235b",
            access="A key is sent to each buyer at the gate.",
            entitlement_attested_by="counsel",
            valid_from=NOW - timedelta(days=1),
            valid_until=NOW + timedelta(days=30),
        )
        qualify_provider(qualification, actor=ACTOR, now=NOW)
        site = register_site(RegisterSite(party.id, "site", "cn-east"), actor=ACTOR, now=NOW)
        allocation = Allocation(self.product.id, HOUR, 1_000_000)
        declare_capacity(
            DeclareCapacity(party.id, site.id, {"tokens_per_s": 1_000}, (allocation,)), actor=ACTOR, now=NOW
        )
        set_share_schedule(SetShareSchedule(party.id, CODE, SHARES), actor=ACTOR, now=NOW)


def usage(
    request_id: str,
    tokens: int,
    *,
    buyer: str = "buyer-1",
    provider: str = "provider-1",
    at: datetime = START,
    refused: str = "",
    symbol: str = SYMBOL,
    **data: Any,
) -> dict[str, Any]:
    """An event about a request of so many input tokens, each worth one contract token; `refused` is the reason."""
    return {
        "specversion": "1.0",
        "type": REFUSED_TYPE if refused else COMPLETED_TYPE,
        "source": f"meter/{provider}",
        "id": request_id,
        "time": at.isoformat(),
        "subject": request_id,
        "data": {
            "contract": symbol,
            "buyer": buyer,
            "provider": provider,
            "request_id": request_id,
            "accepted_at": at.isoformat(),
            "family": "tokenbourse",
            "usage": {"input": tokens, "output": 0},
        }
        | ({"reason": refused} if refused else {})
        | data,
    }


def requests(tokens: int, *, each: int = 1_000, **more: Any) -> list[dict[str, Any]]:
    """Requests that come to `tokens`, one after another through the window."""
    sizes = [each] * (tokens // each) + ([tokens % each] if tokens % each else [])
    return [
        usage(f"r{number}", size, at=START + timedelta(seconds=20 * number % HOUR), **more)
        for number, size in enumerate(sizes)
    ]


def refusal(tokens: int, **more: Any) -> dict[str, Any]:
    """A refused request that counts as so many contract tokens."""
    at = START + timedelta(minutes=50)
    return usage("refused-1", tokens - REFUSED_OUTPUT_TOKENS, at=at, refused="capacity", **more)
