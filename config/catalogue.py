"""The market that is set up by `make run` and `make demo`: products with real list prices, and who trades them.

List prices are facts from LiteLLM's public price table (github.com/BerriAI/litellm, MIT), as mirrored on 2026-07-24.
One contract token is priced as one uncached input token; the other weights are the ratios of the list prices.
"""

from __future__ import annotations

from dataclasses import dataclass

CURRENCY = "USD"
TICK_MICROS = 1_000  # a tenth of a cent per million contract tokens
MILLI = 1_000

BUYER_FEE_PPM = 2_000
PROVIDER_FEE_PPM = 3_000
SHARES_PPM = {"compute": 700_000, "model": 200_000, "power": 100_000}


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as its price list shows it. Prices are micros of a dollar per million tokens."""

    code: str  # of the product
    name: str
    quantisation: str
    tokenizer: str
    context_length: int
    region: str
    owner: str  # party that gets the model's share
    input_price: int
    cached_price: int
    output_price: int

    @property
    def cache_read_weight(self) -> int:
        """Milli-contract-tokens of a cached input token, rounded to the nearest."""
        return _ratio(self.cached_price, self.input_price)

    @property
    def output_weight(self) -> int:
        """Milli-contract-tokens of an output token, rounded to the nearest."""
        return _ratio(self.output_price, self.input_price)

    @property
    def list_price_ticks(self) -> int:
        """The list price of a contract token, which is that of an uncached input token."""
        return self.input_price // TICK_MICROS

    def weigh(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> int:
        """Milli-contract-tokens of usage; `cached_tokens` are part of `input_tokens`."""
        uncached = input_tokens - cached_tokens
        return uncached * MILLI + cached_tokens * self.cache_read_weight + output_tokens * self.output_weight


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """A provider: where it is, what it sells in which proportion, and how its prices stand to the list."""

    code: str
    name: str
    site: str
    region: str
    weights: dict[str, int]  # product code -> part of that product's supply
    price_permille: int  # of the list price
    power_owner: str  # party that gets the power share; "" when unknown


@dataclass(frozen=True, slots=True)
class BuyerFacts:
    """A buyer of one product: its part of that product's demand, and how much it may use above what it bought."""

    code: str
    name: str
    product: str
    share: int
    overage_permille: int


def _ratio(price: int, input_price: int) -> int:
    return (2 * price * MILLI + input_price) // (2 * input_price)


DEEPSEEK, KIMI_25, KIMI_26 = "DEEPSEEK-CHAT.US-WEST.STD", "KIMI-K2-5.CN-EAST.STD", "KIMI-K2-6.EU-NORTH.STD"

MODELS = {
    model.code: model
    for model in (
        ListedModel(
            DEEPSEEK, "deepseek-chat", "fp8", "deepseek-v3", 131_072, "us-west", "deep-lab", 280_000, 28_000, 420_000
        ),
        ListedModel(
            KIMI_25, "kimi-k2.5", "int4", "kimi-k2", 131_072, "cn-east", "moon-lab", 600_000, 100_000, 2_250_000
        ),
        ListedModel(
            KIMI_26, "kimi-k2.6", "int4", "kimi-k2", 1_000_000, "eu-north", "moon-lab", 954_000, 161_000, 3_961_000
        ),
    )
}

PROVIDERS = (
    ProviderFacts("aurora", "Aurora Compute", "aurora-1", "us-west", {DEEPSEEK: 5, KIMI_25: 4}, 880, "northern-hydro"),
    ProviderFacts(
        "borealis", "Borealis Cloud", "borealis-1", "eu-north", {DEEPSEEK: 3, KIMI_26: 5}, 910, "northern-hydro"
    ),
    ProviderFacts("cumulus", "Cumulus AI", "cumulus-1", "cn-east", {KIMI_25: 5, KIMI_26: 4}, 940, ""),
    ProviderFacts(
        "dynamo", "Dynamo Data", "dynamo-1", "us-west", {DEEPSEEK: 3, KIMI_25: 2, KIMI_26: 3}, 970, "delta-grid"
    ),
)

BENEFICIARIES = {
    "deep-lab": "Deep Laboratory",
    "moon-lab": "Moon Laboratory",
    "northern-hydro": "Northern Hydro Power",
    "delta-grid": "Delta Grid",
}

BUYERS = (
    BuyerFacts("acorn", "Acorn Assistants", DEEPSEEK, 30, 200),
    BuyerFacts("birch", "Birch Search", DEEPSEEK, 24, 0),
    BuyerFacts("cedar", "Cedar Support", DEEPSEEK, 22, 0),
    BuyerFacts("daisy", "Daisy Drafts", DEEPSEEK, 16, 100),
    BuyerFacts("elder", "Elder Legal", KIMI_25, 28, 0),
    BuyerFacts("fern", "Fern Coding", KIMI_25, 26, 300),
    BuyerFacts("grove", "Grove Games", KIMI_25, 20, 0),
    BuyerFacts("hazel", "Hazel Health", KIMI_25, 18, 100),
    BuyerFacts("iris", "Iris Insight", KIMI_26, 26, 0),
    BuyerFacts("juniper", "Juniper Jobs", KIMI_26, 22, 200),
    BuyerFacts("kelp", "Kelp Knowledge", KIMI_26, 20, 0),
    BuyerFacts("linden", "Linden Learning", KIMI_26, 14, 0),
)


def meter_code(party: str) -> str:
    """The name of a party's meter, its events' `source`."""
    return f"{party}-meter"
