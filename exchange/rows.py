"""From rows to the values of the pure core, and finding rows by the names people use."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet

from exchange.clearing.terms import ContractTerms
from exchange.errors import SiteNotFound, UnknownContract, UnknownProduct
from exchange.matching.types import ContractId
from exchange.models import Contract, Fill, FillReversal, Product, Site
from exchange.terms import ProductTerms


def find_product(code: str) -> Product:
    """Raises `UnknownProduct`."""
    product = Product.objects.filter(code=code).first()
    if product is None:
        raise UnknownProduct(f"There is no product {code!r}.", product=code)
    return product


def find_contract(symbol: str) -> Contract:
    """A contract with its product and terms. Raises `UnknownContract`."""
    contract = Contract.objects.select_related("product", "terms").filter(symbol=symbol).first()
    if contract is None:
        raise UnknownContract(f"There is no contract {symbol!r}.", contract=symbol)
    return contract


def standing_fills() -> QuerySet[Fill]:
    """Fills that were not taken back: what positions, prices and volumes are made of."""
    return Fill.objects.filter(~Exists(FillReversal.objects.filter(fill_id=OuterRef("id"))))


def find_site(site_id: int, provider_id: int) -> Site:
    """A provider's own site. Raises `SiteNotFound`."""
    site = Site.objects.filter(id=site_id, provider_id=provider_id).first()
    if site is None:
        raise SiteNotFound(f"There is no site {site_id}.", site=str(site_id))
    return site


def product_terms(contract: Contract) -> ProductTerms:
    """The terms a contract pinned at listing."""
    return ProductTerms.from_json(contract.terms.terms)


def contract_terms(contract: Contract) -> ContractTerms:
    """What clearing needs to know of a contract."""
    terms = product_terms(contract)
    return ContractTerms(
        contract_id=ContractId(contract.id),
        asset_id=contract.asset_id,
        currency_asset_id=contract.product.currency_id,
        symbol=contract.symbol,
        lot_tokens=terms.lot_tokens,
        tick_micros=terms.tick_micros,
        band_low_ticks=contract.band_low_ticks,
        band_high_ticks=contract.band_high_ticks,
        bond_per_lot_micros=contract.bond_per_lot,
        buyer_fee_ppm=terms.buyer_fee_ppm,
        provider_fee_ppm=terms.provider_fee_ppm,
    )
