"""A product's terms: what is delivered, how it is counted, and what happens when it is not. Pure.

The typed form of the JSON that is stored, published and hashed. A version never changes; a contract pins the hash of
the version it was listed under.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import rfc8785

from exchange.clearing.terms import MAX_DAMAGES_CAP_PERMILLE, MAX_FEE_PPM, PERMILLE, lot_tick_micros
from exchange.errors import InvalidTerms

MAX_TEXT = 120
MAX_INTEGER = 2**53 - 1
MAX_BURST_PERMILLE = 60_000  # a whole hour's tokens in one minute
MAX_MAKE_UP_WINDOWS = 1_000
PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class ModelBuild:
    """Which model, exactly. `context_length` in raw tokens."""

    name: str
    quantisation: str
    context_length: int
    tokenizer: str


@dataclass(frozen=True, slots=True)
class ServiceClass:
    """How it is served: 95th percentile of the time to the first token, output speed, availability."""

    name: str
    ttft_p95_ms: int
    output_tokens_per_s: int
    availability_ppm: int


@dataclass(frozen=True, slots=True)
class SlaTerms:
    """What each missed measure of the service class takes off the price of delivered tokens, up to a cap, in permille.

    A measure is judged only if at least `min_requests` requests of the position tell it.
    """

    ttft_permille: int
    speed_permille: int
    availability_permille: int
    cap_permille: int
    min_requests: int

    def __post_init__(self) -> None:
        for part in fields(self):
            _require(f"sla.{part.name}", getattr(self, part.name), 0, PERMILLE)


@dataclass(frozen=True, slots=True)
class MakeUpTerms:
    """The right to take unused tokens later: how much of them, and in how many windows after.

    They are taken from the same provider, in windows of the product that start within `windows` times the length of the
    first one after it ended.
    """

    permille: int
    windows: int

    def __post_init__(self) -> None:
        _require("make_up.permille", self.permille, 1, PERMILLE)
        _require("make_up.windows", self.windows, 1, MAX_MAKE_UP_WINDOWS)


OPTIONAL_TERMS: Mapping[str, type[SlaTerms | MakeUpTerms]] = {"sla": SlaTerms, "make_up": MakeUpTerms}


@dataclass(frozen=True, slots=True)
class ProductTerms:
    """All terms of a product. Raises `InvalidTerms` when a part is missing, out of range or contradicts another.

    `weights` are milli-contract-tokens per raw token of each usage bucket; `tick_micros` is micros per million contract
    tokens; `take_or_pay_permille` of what stays unused is paid; `damages_permille` of the price is owed for what
    is short, up to `damages_cap_permille` of a lot's highest value; a refused request counts
    `refused_output_tokens` of output. Fees in parts per million. What is None of `sla` and
    `make_up` is left out of the JSON and its hash.
    """

    model: ModelBuild
    region: str
    service_class: ServiceClass
    weights: Mapping[str, int]
    lot_tokens: int
    max_request_tokens: int
    tick_micros: int
    currency: str
    take_or_pay_permille: int
    damages_permille: int
    damages_cap_permille: int
    burst_permille: int
    refused_output_tokens: int
    buyer_fee_ppm: int
    provider_fee_ppm: int
    tax_category: str
    tax_rate_permille: int
    sla: SlaTerms | None = None
    make_up: MakeUpTerms | None = None

    def __post_init__(self) -> None:
        for owner in (self.model, self.service_class, self):
            _check_plain_fields(owner)
        _require_weights(self.weights)
        lot_tick_micros(self.lot_tokens, self.tick_micros)
        _require("max_request_tokens", self.max_request_tokens, 1, self.lot_tokens)
        _require("take_or_pay_permille", self.take_or_pay_permille, 0, PERMILLE)
        _require("damages_permille", self.damages_permille, 0, MAX_DAMAGES_CAP_PERMILLE)
        _require("damages_cap_permille", self.damages_cap_permille, 0, MAX_DAMAGES_CAP_PERMILLE)
        _require("burst_permille", self.burst_permille, PERMILLE, MAX_BURST_PERMILLE)
        _require("buyer_fee_ppm", self.buyer_fee_ppm, 0, MAX_FEE_PPM)
        _require("provider_fee_ppm", self.provider_fee_ppm, 0, MAX_FEE_PPM)
        _require("tax_rate_permille", self.tax_rate_permille, 0, PERMILLE)
        _require("service_class.availability_ppm", self.service_class.availability_ppm, 0, PPM)

    @classmethod
    def from_json(cls, terms: Mapping[str, Any]) -> ProductTerms:
        """Terms from their JSON; every part but the optional ones must be there and no other. Raises `InvalidTerms`."""
        _require_names("terms", terms, cls, optional=OPTIONAL_TERMS)
        _require_names("model", terms["model"], ModelBuild)
        _require_names("service_class", terms["service_class"], ServiceClass)
        parts: dict[str, Any] = dict(terms)
        parts["model"] = ModelBuild(**terms["model"])
        parts["service_class"] = ServiceClass(**terms["service_class"])
        for name, kind in OPTIONAL_TERMS.items():
            if name in terms:
                _require_names(name, terms[name], kind)
                parts[name] = kind(**terms[name])
        return cls(**parts)

    def to_json(self) -> dict[str, Any]:
        parts = asdict(self) | {"weights": dict(self.weights)}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def terms_hash(self) -> bytes:
        """SHA-256 of the RFC 8785 form: what a contract pins."""
        return hashlib.sha256(rfc8785.dumps(self.to_json())).digest()


def _require_names(
    field: str,
    value: object,
    kind: type[ProductTerms | ModelBuild | ServiceClass | SlaTerms | MakeUpTerms],
    *,
    optional: Collection[str] = (),
) -> None:
    names = {part.name for part in fields(kind)}
    found = set(value) if isinstance(value, Mapping) else set()
    if found | set(optional) != names:
        wrong = ", ".join(sorted(map(str, (found | set(optional)) ^ names)))
        raise InvalidTerms(f"{field} must have exactly the parts of a {kind.__name__}; check {wrong}.", field=field)


def _check_plain_fields(owner: ProductTerms | ModelBuild | ServiceClass) -> None:
    """Texts are not empty and integers not negative, whatever else holds for them."""
    for part in fields(owner):
        value = getattr(owner, part.name)
        if part.type == "int":
            _require(part.name, value, 0, MAX_INTEGER)
        elif part.type == "str" and not (isinstance(value, str) and 0 < len(value.strip()) <= MAX_TEXT):
            raise InvalidTerms(f"{part.name} is a text of 1 to {MAX_TEXT} characters.", field=part.name)


def _require_weights(weights: object) -> None:
    if not isinstance(weights, Mapping) or not weights or not all(isinstance(name, str) and name for name in weights):
        raise InvalidTerms("weights name each usage bucket and its milli-contract-tokens.", field="weights")
    for name, weight in weights.items():
        _require(f"weights.{name}", weight, 0, PPM)


def _require(field: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidTerms(
            f"{field} must be a whole number from {low} to {high}.", field=field, minimum=str(low), maximum=str(high)
        )
