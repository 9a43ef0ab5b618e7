"""Set what trading costs from an instant on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.errors import InvalidFeeSchedule
from exchange.fee_schedule import FeeSchedule
from exchange.models import FeeSchedule as ScheduleRow
from exchange.rows import find_product
from ledger.actions import record_action
from ledger.models import Party
from ledger.selectors.parties import get_currency, get_house_id


@dataclass(frozen=True, slots=True)
class SetFeeSchedule:
    """An operator's next version of a schedule, for a reason: of a product, or of all without one of their own.

    It counts for orders placed from `valid_from` on; orders that stand keep their rates.
    """

    currency: str
    product_code: str | None
    schedule: FeeSchedule
    valid_from: datetime
    reason: str


@transaction.atomic
def set_fee_schedule(command: SetFeeSchedule, *, actor: str, now: datetime) -> ScheduleRow:
    """Write the next version. A lower one that would come into force later never does.

    Raises `NotFound` for the currency, `UnknownProduct`, and `InvalidFeeSchedule`.
    """
    if not command.reason.strip():
        raise InvalidFeeSchedule("A change of fees needs a reason.", field="reason")
    if command.valid_from < now:
        raise InvalidFeeSchedule(
            "A schedule does not change what has been; it begins now or later.", field="valid_from"
        )
    currency = get_currency(command.currency)
    Party.objects.select_for_update().get(pk=get_house_id())  # one version at a time
    product = None if command.product_code is None else find_product(command.product_code)
    if product is not None and product.currency_id != currency.pk:
        raise InvalidFeeSchedule(f"{product.code} is not traded in {currency.code}.", field="currency")
    written = command.schedule.to_json()
    row = ScheduleRow.objects.create(
        currency=currency,
        product=product,
        version=ScheduleRow.objects.filter(currency=currency, product=product).count() + 1,
        basis=written["basis"],
        tiers=written["tiers"],
        valid_from=command.valid_from,
        created_at=now,
        created_by=actor,
    )
    record_action(
        actor=actor,
        action="set_fee_schedule",
        subject=f"currency:{currency.code}" if product is None else f"product:{product.code}",
        reason=command.reason,
        now=now,
        details={"version": row.version, "valid_from": command.valid_from.isoformat()},
    )
    return row
