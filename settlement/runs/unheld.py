"""What is missing of bonds and overage holds because whoever was to give it back owes it: read, and written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db.models import Sum

from ledger.drafts import TransactionDraft
from settlement.adjustments import within_holds
from settlement.models import SettlementRun, Unheld
from settlement.postings import PositionAccounts


@dataclass(frozen=True, slots=True)
class SecuredDraft:
    """A position's transaction, with the changes of its holds that the figures want, and what the figures of the run
    before left of its bond and overage hold, in micros."""

    draft: TransactionDraft
    accounts: PositionAccounts
    bond_micros: int
    overage_hold_micros: int

    @property
    def pair(self) -> tuple[int, int]:
        return self.accounts.buyer.id, self.accounts.provider.id


Secured = Mapping[str, SecuredDraft]  # by reference


def unheld_of(contract_id: int) -> dict[tuple[int, int, str], int]:
    """What is missing, in micros, by buyer, provider and what it is held for; holds that are whole are left out."""
    rows = Unheld.objects.filter(contract_id=contract_id).values_list("buyer_id", "provider_id", "ref")
    return {(buyer, provider, ref): micros for buyer, provider, ref, micros in rows.annotate(Sum("micros"))}


def within_what_is_held(contract_id: int, secured: Secured) -> dict[str, TransactionDraft]:
    """Transactions of a contract cut down to what is really left of their holds; those with whole holds stay out."""
    unheld = unheld_of(contract_id) if secured else {}
    cut = {}
    for reference, each in secured.items() if unheld else ():
        left = {
            ref: micros - unheld.get((*each.pair, ref), 0)
            for ref, micros in (
                (each.accounts.bond_hold_ref, each.bond_micros),
                (each.accounts.overage_hold_ref, each.overage_hold_micros),
            )
        }
        cut[reference] = within_holds(each.draft, left)
    return cut


def keep_unheld(run: SettlementRun, contract_id: int, secured: Secured, posted: Iterable[TransactionDraft]) -> None:
    """Write down by how much less is held after these transactions than the figures want; nothing where it is all."""
    rows = []
    for draft in posted:
        wanted = secured.get(draft.reference)
        if wanted is None or wanted.draft.holds == draft.holds:
            continue
        missing = Counter({hold.ref: hold.delta for hold in wanted.draft.holds})
        missing.subtract({hold.ref: hold.delta for hold in draft.holds})
        buyer_id, provider_id = wanted.pair
        of_position = {"run": run, "contract_id": contract_id, "buyer_id": buyer_id, "provider_id": provider_id}
        rows += [Unheld(**of_position, ref=ref, micros=micros) for ref, micros in missing.items() if micros]
    Unheld.objects.bulk_create(rows)
