"""List a product: what can be delivered, and on which terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.errors import InvalidTerms, ProductExists
from exchange.models import Product, ProductTerms
from exchange.terms import ProductTerms as Terms
from exchange.windows import check_product_code
from ledger.actions import record_action
from ledger.selectors.parties import get_currency

MAX_DESCRIPTION = 200


@dataclass(frozen=True, slots=True)
class ListProduct:
    """A product under a code such as `QWEN3-235B.CN-EAST.STD`, with its first version of terms."""

    code: str
    description: str
    terms: Terms


@transaction.atomic
def list_product(command: ListProduct, *, actor: str, now: datetime) -> Product:
    """List a product. Raises `InvalidSymbol` for its code, `InvalidTerms` for its description, `NotFound` for its
    currency, and `ProductExists`."""
    check_product_code(command.code)
    if len(command.description) > MAX_DESCRIPTION:
        raise InvalidTerms(f"A description has at most {MAX_DESCRIPTION} characters.", field="description")
    currency = get_currency(command.terms.currency)
    product, created = Product.objects.get_or_create(
        code=command.code, defaults={"description": command.description, "currency": currency, "listed_at": now}
    )
    if not created:
        raise ProductExists(f"{command.code} is listed already.", product=command.code)
    terms_hash = command.terms.terms_hash
    ProductTerms.objects.create(
        product=product,
        version=1,
        terms=command.terms.to_json(),
        terms_hash=terms_hash,
        created_at=now,
        created_by=actor,
    )
    record_action(
        actor=actor,
        action="list_product",
        subject=f"product:{command.code}",
        now=now,
        details={"terms_hash": terms_hash.hex()},
    )
    return product
