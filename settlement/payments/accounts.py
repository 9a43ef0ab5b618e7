"""Where parties are paid: each version asked for by one person and confirmed by another."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from ledger.actions import record_action
from ledger.chart import AssetKind
from ledger.errors import NotFound, ReasonMissing
from ledger.models import Asset, Party
from ledger.parties.access import check_another_person
from settlement.errors import RequestNotOpen
from settlement.models import PayoutAccount, RequestState
from settlement.payments.iban import check_bic, check_holder, check_iban
from settlement.payments.lock import lock_payments


@transaction.atomic
def request_payout_account(
    party_id: int, currency_id: int, *, holder: str, iban: str, bic: str = "", actor: str, now: datetime
) -> PayoutAccount:
    """Ask for the account that a party is to be paid to; the house's own is the one that payments come from.

    Nothing is paid to it before another person confirms it. Raises `InvalidPayoutAccount` and `NotFound`.
    """
    if not Asset.objects.filter(pk=currency_id, kind=AssetKind.CURRENCY).exists():
        raise NotFound("There is no such currency.", field="currency")
    party = Party.objects.filter(pk=party_id).first()
    if party is None:
        raise NotFound("There is no such party.", field="party")
    account = PayoutAccount.objects.create(
        party=party,
        currency_id=currency_id,
        holder=check_holder(holder),
        iban=check_iban(iban),
        bic=check_bic(bic),
        requested_by=actor,
        requested_at=now,
    )
    record_action(
        actor=actor,
        action="request_payout_account",
        subject=f"payout_account:{account.pk}",
        now=now,
        details={"party": party.code, "iban": account.iban},
    )
    return account


def confirm_payout_account(account_id: int, *, actor: str, now: datetime) -> PayoutAccount:
    """Let a party be paid there from now on. One that is confirmed already is returned as it is.

    Raises `NotFound`, `NeedsAnotherPerson`, and `RequestNotOpen` when it was refused.
    """
    return _decide(account_id, RequestState.CONFIRMED, "", actor, now)


def refuse_payout_account(account_id: int, reason: str, *, actor: str, now: datetime) -> PayoutAccount:
    """Refuse an account, for a reason. Raises what confirming does, and `ReasonMissing`."""
    if not reason.strip():
        raise ReasonMissing("Refusing an account needs a reason.", field="reason")
    return _decide(account_id, RequestState.REFUSED, reason.strip(), actor, now)


def current_accounts(party_ids: Iterable[int], currency_id: int) -> dict[int, PayoutAccount]:
    """The account of each party that counts: the one confirmed last. Parties without one are left out."""
    confirmed = PayoutAccount.objects.filter(
        party_id__in=list(party_ids), currency_id=currency_id, state=RequestState.CONFIRMED
    )
    return {account.party_id: account for account in confirmed.order_by("decided_at", "id")}


@transaction.atomic
def _decide(account_id: int, state: RequestState, reason: str, actor: str, now: datetime) -> PayoutAccount:
    lock_payments()  # no payment is sent to the account before while another takes its place
    account = PayoutAccount.objects.select_for_update().filter(pk=account_id).first()
    if account is None:
        raise NotFound(f"There is no payout account {account_id}.", payout_account=str(account_id))
    if account.state == state:
        return account
    if account.state != RequestState.REQUESTED:
        raise RequestNotOpen(
            f"Payout account {account_id} is {account.state} already, decided by {account.decided_by}.",
            state=account.state,
        )
    check_another_person(actor, account.requested_by, asked_for="this account", payout_account=str(account_id))
    account.state, account.decided_by, account.decided_at = state, actor, now
    account.save(update_fields=["state", "decided_by", "decided_at"])
    record_action(
        actor=actor,
        action="confirm_payout_account" if state is RequestState.CONFIRMED else "refuse_payout_account",
        subject=f"payout_account:{account.pk}",
        reason=reason,
        now=now,
        details={"requested_by": account.requested_by},
    )
    return account
