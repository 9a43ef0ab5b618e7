"""Sets up the market of the catalogue in an empty database, all in one transaction, through the operator's commands."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from config import catalogue
from config.catalogue import (
    BENEFICIARIES,
    BUYERS,
    CURRENCY,
    MODELS,
    PROVIDERS,
    BuyerFacts,
    ListedModel,
    ProviderFacts,
    meter_code,
)
from exchange.capacity import PPM, Allocation
from exchange.commands.declare_capacity import DeclareCapacity, declare_capacity
from exchange.commands.list_contract import ListContract
from exchange.commands.list_product import ListProduct, list_product
from exchange.commands.qualify_provider import QualifyProvider, qualify_provider
from exchange.commands.register_site import RegisterSite, register_site
from exchange.models import Product
from exchange.terms import ModelBuild, ProductTerms, ServiceClass
from exchange.windows import Window
from ledger.keys.ring import ensure_current_key
from ledger.models import MembershipRole, Party, PartyKind
from ledger.money import div_ceil
from ledger.parties.commands import add_member, register_currency, register_party
from ledger.parties.keys import Scope, issue_key
from ledger.transfers import approve_transfer, request_deposit
from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.commands.set_share_schedule import SetShareSchedule, set_share_schedule
from settlement.metering.weights import plain_weights
from settlement.models import MeterSide
from settlement.payments.pots import open_pots

ACTOR = "setup"
SECOND_ACTOR = "setup:second"  # approves what the first asks for; no person does either
HOUSE, AUDITOR = "house", "auditor"
OPERATORS = ("operator", "operator2")
QUALIFIED_FOR = timedelta(days=365)
BAND_LOW_PERMILLE, BAND_HIGH_PERMILLE = 500, 1_500  # of the list price
PERMILLE = 1_000
SITE_RESERVE_PERMILLE = 100

BUYER_SCOPES = (Scope.READ, Scope.TRADE, Scope.METER)
PROVIDER_SCOPES = (Scope.READ, Scope.METER)
AUDITOR_SCOPES = (Scope.READ, Scope.AUDIT)


@dataclass(frozen=True, slots=True)
class MarketPlan:
    """What differs between markets: sizes, and what providers can deliver.

    `capacity` is contract tokens a window by provider and product; `deposit_micros` each trader's opening money.
    """

    lot_tokens: int
    max_request_tokens: int
    window_seconds: int
    capacity: Mapping[str, Mapping[str, int]]
    deposit_micros: int


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is told once: passwords by user name, and API keys by the code of their party."""

    passwords: dict[str, str]
    keys: dict[str, str]


def is_set_up() -> bool:
    """Whether there is a market already."""
    return Party.objects.filter(kind=PartyKind.HOUSE).exists()


@transaction.atomic
def set_up_market(plan: MarketPlan, *, logins: bool, now: datetime) -> Credentials:
    """Products, parties, capacity, shares, money, meters, keys, and people's logins if wanted.

    Logins take a moment: passwords are hashed slowly on purpose.
    """
    told = Credentials({}, {})
    currency = register_currency(CURRENCY, actor=ACTOR, now=now)
    house = register_party(HOUSE, "Tokenbourse", PartyKind.HOUSE, actor=ACTOR, now=now)
    auditor = register_party(AUDITOR, "Assay Auditors", PartyKind.AUDITOR, actor=ACTOR, now=now)
    ensure_current_key(actor=ACTOR, now=now)
    open_pots(actor=ACTOR, now=now)
    for code, name in BENEFICIARIES.items():
        register_party(code, name, PartyKind.BENEFICIARY, actor=ACTOR, now=now)
    for model in MODELS.values():
        terms = product_terms(model, plan)
        list_product(ListProduct(model.code, f"{model.name}, {model.region}", terms), actor=ACTOR, now=now)
    traders = [_set_up_provider(facts, plan, now) for facts in PROVIDERS]
    traders += [_set_up_buyer(facts, now) for facts in BUYERS]
    for party in traders:
        reference = f"opening deposit of {party.code}"
        deposit = request_deposit(party.id, currency.id, plan.deposit_micros, reference=reference, actor=ACTOR, now=now)
        approve_transfer(deposit.pk, actor=SECOND_ACTOR, now=now)
    for party in (*traders, auditor):
        told.keys[party.code] = issue_party_key(party, "opening key", now=now)
    if logins:
        for party in traders:
            role = MembershipRole.PROVIDER_STAFF if party.kind == PartyKind.PROVIDER else MembershipRole.BUYER_STAFF
            told.passwords[party.code] = _add_login(party.code, party, role, now)
        told.passwords[AUDITOR] = _add_login(AUDITOR, auditor, MembershipRole.AUDITOR, now)
        for name in OPERATORS:
            told.passwords[name] = _add_login(name, house, MembershipRole.OPERATOR, now)
    return told


def issue_party_key(party: Party, label: str, *, now: datetime) -> str:
    """A new API key for a trader or the auditor, with the scopes that party needs; returns its text."""
    scopes = {PartyKind.PROVIDER: PROVIDER_SCOPES, PartyKind.AUDITOR: AUDITOR_SCOPES}.get(
        PartyKind(party.kind), BUYER_SCOPES
    )
    return issue_key(party, label, scopes, actor=ACTOR, now=now).text


def product_terms(model: ListedModel, plan: MarketPlan) -> ProductTerms:
    """A product's terms: token weights from the list prices, the rest as all products of the catalogue have it."""
    return ProductTerms(
        model=ModelBuild(model.name, model.quantisation, model.context_length, model.tokenizer),
        region=model.region,
        service_class=ServiceClass("standard", ttft_p95_ms=2_000, output_tokens_per_s=30, availability_ppm=995_000),
        weights=plain_weights(
            input_milli=catalogue.MILLI, cache_read_milli=model.cache_read_weight, output_milli=model.output_weight
        ).as_dict(),
        lot_tokens=plan.lot_tokens,
        max_request_tokens=plan.max_request_tokens,
        tick_micros=catalogue.TICK_MICROS,
        currency=CURRENCY,
        take_or_pay_permille=600,
        damages_permille=500,
        damages_cap_permille=1_000,
        burst_permille=1_500,
        refused_output_tokens=256,
        buyer_fee_ppm=catalogue.BUYER_FEE_PPM,
        provider_fee_ppm=catalogue.PROVIDER_FEE_PPM,
        tax_category="zero-rated",
        tax_rate_permille=0,
    )


def contract_of(model: ListedModel, window: Window, gate_open: datetime, gate_close: datetime) -> ListContract:
    """A product's contract for a window, at its list price with the catalogue's price band around it."""
    price = model.list_price_ticks
    return ListContract(
        product_code=model.code,
        delivery_start=window.start,
        window_seconds=window.seconds,
        gate_open=gate_open,
        gate_close=gate_close,
        listing_price_ticks=price,
        band_low_ticks=price * BAND_LOW_PERMILLE // PERMILLE,
        band_high_ticks=price * BAND_HIGH_PERMILLE // PERMILLE,
    )


def site_capacity(tokens_by_product: Mapping[str, int], window_seconds: int) -> tuple[int, dict[str, int]]:
    """(tokens a second, parts per million by product) of a site that delivers so many tokens in each window."""
    whole = sum(tokens_by_product.values())
    with_reserve = div_ceil(whole * (PERMILLE + SITE_RESERVE_PERMILLE), PERMILLE)
    tokens_per_s = div_ceil(with_reserve, window_seconds) + len(tokens_by_product)
    parts = {
        product: div_ceil(tokens * PPM, tokens_per_s * window_seconds) for product, tokens in tokens_by_product.items()
    }
    return tokens_per_s, parts


def _set_up_provider(facts: ProviderFacts, plan: MarketPlan, now: datetime) -> Party:
    party = register_party(facts.code, facts.name, PartyKind.PROVIDER, actor=ACTOR, now=now)
    register_meter(RegisterMeter(party.id, meter_code(facts.code), MeterSide.PROVIDER), actor=ACTOR, now=now)
    site = register_site(RegisterSite(party.id, facts.site, facts.region), actor=ACTOR, now=now)
    tokens_per_s, parts = site_capacity(plan.capacity[facts.code], plan.window_seconds)
    product_ids = dict(Product.objects.values_list("code", "id"))
    allocations = tuple(Allocation(product_ids[code], plan.window_seconds, ppm) for code, ppm in parts.items())
    declare_capacity(
        DeclareCapacity(party.id, site.id, {"tokens_per_s": tokens_per_s}, allocations), actor=ACTOR, now=now
    )
    for code in facts.weights:
        model = MODELS[code]
        qualify_provider(
            QualifyProvider(
                provider_id=party.id,
                product_code=code,
                endpoint_url=f"https://{facts.code}.example/v1",
                model_name=model.name,
                access="Your key for the endpoint is sent to your registered contact when the gate closes.",
                entitlement_attested_by=f"{facts.name}, legal department",
                valid_from=now,
                valid_until=now + QUALIFIED_FOR,
                probe_evidence="Ten probe requests compared with the reference build.",
            ),
            actor=ACTOR,
            now=now,
        )
        owners = {"compute": "", "model": model.owner, "power": facts.power_owner}
        weights = {role: {"ppm": ppm, "party": owners[role]} for role, ppm in catalogue.SHARES_PPM.items()}
        set_share_schedule(SetShareSchedule(party.id, code, weights), actor=ACTOR, now=now)
    return party


def _set_up_buyer(facts: BuyerFacts, now: datetime) -> Party:
    party = register_party(facts.code, facts.name, PartyKind.BUYER, actor=ACTOR, now=now)
    register_meter(RegisterMeter(party.id, meter_code(facts.code), MeterSide.BUYER), actor=ACTOR, now=now)
    return party


def _add_login(username: str, party: Party, role: MembershipRole, now: datetime) -> str:
    password = secrets.token_urlsafe(12)
    add_member(username, password, party, role, actor=ACTOR, now=now)
    return password
