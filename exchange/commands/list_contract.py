"""List a contract: a product in a delivery window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.clearing.amounts import bond_per_lot
from exchange.clearing.terms import check_band, lot_tick_micros
from exchange.errors import ContractExists, InvalidTerms
from exchange.models import Contract, Product, ProductTerms
from exchange.models.contracts import SHARDS
from exchange.obligation_floors import allocated_tokens, move_floors
from exchange.rows import find_product
from exchange.terms import ProductTerms as Terms
from exchange.windows import Window, format_symbol, window_from
from ledger import journal
from ledger.actions import record_action
from ledger.chart import AssetKind
from ledger.models import Asset

MAX_COLLAR_PERMILLE = 1_000_000  # a thousand times the price


@dataclass(frozen=True, slots=True)
class ListContract:
    """A product in the window that starts at `delivery_start`; prices in ticks.

    gate_open < gate_close ≤ delivery_start. The band bounds every order's price, and its upper end fixes the bond.
    `window_seconds` is what the window's length is known by, `collar_permille` how far from the last price a trade may
    be before trading halts (0: no collar), `shard` whose sequencer decides its orders.
    """

    product_code: str
    delivery_start: datetime
    window_seconds: int
    gate_open: datetime
    gate_close: datetime
    listing_price_ticks: int
    band_low_ticks: int
    band_high_ticks: int
    collar_permille: int = 0
    shard: int = 1


@transaction.atomic
def list_contract(command: ListContract, *, actor: str, now: datetime) -> Contract:
    """List a contract under the product's latest terms, and let every provider with allocated capacity sell it.

    Raises `UnknownProduct`, `InvalidWindow`, `InvalidTerms` and `ContractExists`.
    """
    product = find_product(command.product_code)
    window = window_from(command.delivery_start, command.window_seconds)
    _check_gates(command, now)
    version = ProductTerms.objects.filter(product=product).latest("version")
    contract = _create(command, product, version, window, now)
    journal.lock_head()
    tokens = {(contract, seller): amount for seller, amount in allocated_tokens(product.id, window).items()}
    move_floors(tokens, actor=actor, reason=f"listing of {contract.symbol}", now=now)
    record_action(
        actor=actor,
        action="list_contract",
        subject=f"contract:{contract.symbol}",
        now=now,
        details={"terms_hash": bytes(version.terms_hash).hex()},
    )
    return contract


def check_collar(collar_permille: int) -> None:
    """Raises `InvalidTerms`."""
    if not 0 <= collar_permille <= MAX_COLLAR_PERMILLE:
        raise InvalidTerms(f"A collar is from 0 to {MAX_COLLAR_PERMILLE} permille.", field="collar_permille")


def check_shard(shard: int) -> None:
    """Raises `InvalidTerms`."""
    if not 1 <= shard <= SHARDS:
        raise InvalidTerms(f"A shard is from 1 to {SHARDS}.", field="shard")


def _check_gates(command: ListContract, now: datetime) -> None:
    if not command.gate_open < command.gate_close <= command.delivery_start:
        raise InvalidTerms("The gate opens before it closes, and closes before delivery starts.", field="gate_close")
    if now >= command.gate_close:
        raise InvalidTerms("The gate would already be closed.", field="gate_close")


def _create(command: ListContract, product: Product, version: ProductTerms, window: Window, now: datetime) -> Contract:
    symbol = format_symbol(product.code, window)
    terms = Terms.from_json(version.terms)
    check_band(lot_tick_micros(terms.lot_tokens, terms.tick_micros), command.band_low_ticks, command.band_high_ticks)
    if not command.band_low_ticks <= command.listing_price_ticks <= command.band_high_ticks:
        raise InvalidTerms("The listing price is outside the band.", field="listing_price_ticks")
    check_collar(command.collar_permille)
    check_shard(command.shard)
    asset, created = Asset.objects.get_or_create(
        code=symbol,
        defaults={
            "kind": AssetKind.CONTRACT,
            "scale": 0,
            "terms_hash": version.terms_hash,
            "expires_at": window.end,
        },
    )
    if not created:
        raise ContractExists(f"{symbol} is listed already.", contract=symbol)
    return Contract.objects.create(
        symbol=symbol,
        product=product,
        terms=version,
        asset=asset,
        delivery_start=window.start,
        delivery_end=window.end,
        gate_open=command.gate_open,
        gate_close=command.gate_close,
        listing_price_ticks=command.listing_price_ticks,
        band_low_ticks=command.band_low_ticks,
        band_high_ticks=command.band_high_ticks,
        collar_permille=command.collar_permille,
        shard=command.shard,
        bond_per_lot=bond_per_lot(
            lot_tokens=terms.lot_tokens,
            tick_micros=terms.tick_micros,
            band_high_ticks=command.band_high_ticks,
            damages_cap_permille=terms.damages_cap_permille,
        ),
        listed_at=now,
    )
