"""Products as anybody may see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from exchange.errors import UnknownProduct
from exchange.models import ProductTerms
from exchange.terms import ProductTerms as Terms


@dataclass(frozen=True, slots=True)
class ProductView:
    """A product under its latest terms."""

    id: int
    code: str
    description: str
    version: int
    terms: Terms
    terms_hash: str
    listed_at: datetime


def list_products() -> list[ProductView]:
    """All products by code."""
    versions = ProductTerms.objects.select_related("product").order_by("product_id", "-version").distinct("product_id")
    return sorted((_view(version) for version in versions), key=lambda product: product.code)


def get_product(code: str) -> ProductView:
    """Raises `UnknownProduct`."""
    version = ProductTerms.objects.select_related("product").filter(product__code=code).order_by("-version").first()
    if version is None:
        raise UnknownProduct(f"There is no product {code!r}.", product=code)
    return _view(version)


def _view(version: ProductTerms) -> ProductView:
    return ProductView(
        id=version.product_id,
        code=version.product.code,
        description=version.product.description,
        version=version.version,
        terms=Terms.from_json(version.terms),
        terms_hash=bytes(version.terms_hash).hex(),
        listed_at=version.product.listed_at,
    )
