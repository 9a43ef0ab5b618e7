"""Posting what a later run changes, and collecting debts: the two places that look at what parties can pay."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q

from ledger import journal
from ledger.accounts import AccountState, load_accounts
from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.models import Account
from settlement.adjustments import claimed_account, cover
from settlement.market import load_parties
from settlement.models import SettlementRun
from settlement.postings import SOURCE, PartyRef

CLEAR_DEBT = "clear_debt"


def clear_debts(run: SettlementRun, prefix: str, *, actor: str, now: datetime) -> None:
    """Let whoever owes from earlier runs pay its creditors out of what is free now. Under the ledger head.

    `prefix` is what the references of the payments begin with, after the currency: keys of runs do not name it.
    """
    debts = Account.objects.filter(asset_id=run.currency_id, role=Role.DEBT, balance__lt=0)
    debtors = load_parties(debts.values_list("party_id", flat=True))
    drafts = []
    for debtor in sorted(debtors.values(), key=lambda party: party.code):
        drafts += _payments(debtor, run, prefix)
    if drafts:
        journal.post(drafts, actor=actor, now=now)


def covered(drafts: Collection[TransactionDraft]) -> list[TransactionDraft]:
    """Each draft with what its payers cannot pay turned into debt, in order, on what the ones before leave free.

    Under the ledger head: what parties can pay must not change until it is posted.
    """
    keys = {leg.account for draft in drafts for leg in draft.legs}
    keys |= {hold.account for draft in drafts for hold in draft.holds}
    money = {key for key in keys if key.role in (Role.CASH, Role.FEES, Role.HELD_SHARE)}
    states = load_accounts(money)
    free = {key: _free(states.get(key)) for key in money}
    codes = {party_id: party.code for party_id, party in load_parties({key.party_id for key in money}).items()}
    done = []
    for draft in drafts:
        touched = {hold.account for hold in draft.holds} | {leg.account for leg in draft.legs}
        whole, after = cover(draft, {key: free[key] for key in touched if key in free}, codes)
        free |= {key: micros if not _frozen(states.get(key)) else 0 for key, micros in after.items()}
        done.append(whole)
    return done


def _free(account: AccountState | None) -> int:
    """What an account can pay: nothing while it is frozen."""
    if account is None or account.frozen:
        return 0
    return max(account.available or 0, 0)


def _frozen(account: AccountState | None) -> bool:
    return account is not None and account.frozen


def _payments(debtor: PartyRef, run: SettlementRun, prefix: str) -> list[TransactionDraft]:
    """Payments of a debtor to its creditors, in the order of their parties, until cash or debt is used up."""
    cash = AccountKey(debtor.id, run.currency_id, Role.CASH)
    debt = AccountKey(debtor.id, run.currency_id, Role.DEBT)
    free = _free(load_accounts([cash]).get(cash))
    on_debtor = Q(qualifier=debtor.code) | Q(qualifier__startswith=f"{debtor.code}/")
    claims = Account.objects.filter(on_debtor, asset_id=run.currency_id, role=Role.CLAIM, balance__gt=0).order_by(
        "party_id", "qualifier"
    )
    creditors = load_parties(claim.party_id for claim in claims)
    drafts = []
    for claim in claims:
        paid = min(free, claim.balance)
        if paid <= 0:
            break
        free -= paid
        key = AccountKey(claim.party_id, run.currency_id, Role.CLAIM, claim.qualifier)
        drafts.append(
            TransactionDraft(
                kind=CLEAR_DEBT,
                source=SOURCE,
                reference=f"{run.currency.code}/{prefix}/{claim.qualifier}/{creditors[claim.party_id].code}/{CLEAR_DEBT}",
                effective_at=run.period_end,
                legs=(Leg(cash, -paid), Leg(debt, paid), Leg(claimed_account(key), paid), Leg(key, -paid)),
            )
        )
    return drafts
