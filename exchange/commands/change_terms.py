"""Give a product its next version of terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.errors import InvalidTerms
from exchange.models import Product, ProductTerms
from exchange.rows import find_product
from exchange.terms import ProductTerms as Terms
from ledger.actions import record_action
from ledger.errors import ReasonMissing
from ledger.texts import check_text

MAX_REASON = 200
# Another quality is another product, and prices and lots that stand in offers, rules and figures keep their meaning.
FIXED = ("model", "region", "service_class", "currency", "lot_tokens", "tick_micros")


@dataclass(frozen=True, slots=True)
class ChangeTerms:
    """An operator's next version of a product's terms, for a reason; `version` is the one that it was made from.

    It counts for contracts listed from then on. Those that are listed keep the terms that they pinned, and an offer is
    not placed under the new ones before its provider has changed or resumed it.
    """

    product_code: str
    version: int
    terms: Terms
    reason: str


@transaction.atomic
def change_terms(command: ChangeTerms, *, actor: str, now: datetime) -> ProductTerms:
    """Write the next version.

    Raises `ReasonMissing`, `InvalidText`, `UnknownProduct`, and `InvalidTerms` when somebody else has changed them
    since, when nothing would change, and for a part that only another product can have otherwise.
    """
    if not command.reason.strip():
        raise ReasonMissing("A change of terms needs a reason.", field="reason")
    check_text(command.reason, "reason", MAX_REASON)
    product = Product.objects.select_for_update().get(pk=find_product(command.product_code).pk)  # one at a time
    latest = ProductTerms.objects.filter(product=product).latest("version")
    _check(command, latest)
    row = ProductTerms.objects.create(
        product=product,
        version=latest.version + 1,
        terms=command.terms.to_json(),
        terms_hash=command.terms.terms_hash,
        created_at=now,
        created_by=actor,
    )
    record_action(
        actor=actor,
        action="change_terms",
        subject=f"product:{product.code}",
        reason=command.reason,
        now=now,
        details={"version": row.version, "terms_hash": row.terms_hash.hex()},
    )
    return row


def _check(command: ChangeTerms, latest: ProductTerms) -> None:
    if command.version != latest.version:
        raise InvalidTerms(
            f"The terms are at version {latest.version} by now, and this was made from version {command.version}. "
            "Look at them again.",
            field="version",
            version=latest.version,
        )
    if command.terms.terms_hash == bytes(latest.terms_hash):
        raise InvalidTerms(f"These are the terms of version {latest.version}; nothing would change.", field="terms")
    wanted = command.terms.to_json()
    for name in FIXED:
        if wanted[name] != latest.terms[name]:
            raise InvalidTerms(f"{name} stays as it is; list another product.", field=name)
