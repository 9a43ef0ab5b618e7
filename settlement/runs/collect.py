"""Posting what a later run changes, and collecting debts: the two places that look at what parties can pay."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db.models import Q

from ledger import journal
from ledger.accounts import AccountState, load_accounts
from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.models import Account, Transaction
from settlement.adjustments import adjustment_reference, claimed_account, cover, draft_adjustment
from settlement.errors import LedgerDisagrees
from settlement.market import SettledContract, load_parties
from settlement.postings import SOURCE, PartyRef
from settlement.runs.position_rows import SettledPosition

CLEAR_DEBT = "clear_debt"


def post_adjustments(positions: Sequence[SettledPosition], *, run_key: str, actor: str, now: datetime) -> None:
    """Post what a final run changes for these positions and free what they held; once, whoever calls how often.

    Inside the caller's transaction.
    """
    journal.lock_head()  # what parties can pay must not change until it is posted
    references = {adjustment_reference(position.accounts, run_key): position for position in positions}
    posted = set(
        Transaction.objects.filter(source=SOURCE, reference__in=list(references)).values_list("reference", flat=True)
    )
    drafts = [_draft(position, run_key) for reference, position in references.items() if reference not in posted]
    covered = _covered([draft for draft in drafts if draft is not None])
    if covered:
        journal.post(covered, actor=actor, now=now)


def clear_debts(contract: SettledContract, *, run_key: str, actor: str, now: datetime) -> None:
    """Let whoever owes from earlier runs pay its creditors out of what is free now. Under the ledger head."""
    debts = Account.objects.filter(asset_id=contract.currency_id, role=Role.DEBT, balance__lt=0)
    debtors = load_parties(debts.values_list("party_id", flat=True))
    drafts = []
    for debtor in sorted(debtors.values(), key=lambda party: party.code):
        drafts += _payments(debtor, contract, f"{run_key}/{contract.symbol}")
    if drafts:
        journal.post(drafts, actor=actor, now=now)


def _draft(position: SettledPosition, run_key: str) -> TransactionDraft | None:
    if position.earlier is None:
        raise LedgerDisagrees(
            f"{position.contract.symbol}: a position has no initial figures.", contract=position.contract.symbol
        )
    return draft_adjustment(
        position.outcome,
        position.earlier,
        position.accounts,
        bond_micros=position.bond_micros,
        overage_hold_micros=position.overage_hold_micros,
        run_key=run_key,
        effective_at=position.contract.delivery_end,
    )


def _covered(drafts: Collection[TransactionDraft]) -> list[TransactionDraft]:
    """Each draft with what its payers cannot pay turned into debt, in order, on what the ones before leave free."""
    keys = {leg.account for draft in drafts for leg in draft.legs}
    keys |= {hold.account for draft in drafts for hold in draft.holds}
    money = {key for key in keys if key.role in (Role.CASH, Role.FEES, Role.HELD_SHARE)}
    states = load_accounts(money)
    free = {key: _free(states.get(key)) for key in money}
    codes = {party_id: party.code for party_id, party in load_parties({key.party_id for key in money}).items()}
    covered = []
    for draft in drafts:
        touched = {hold.account for hold in draft.holds} | {leg.account for leg in draft.legs}
        done, after = cover(draft, {key: free[key] for key in touched if key in free}, codes)
        free |= {key: micros if not _frozen(states.get(key)) else 0 for key, micros in after.items()}
        covered.append(done)
    return covered


def _free(account: AccountState | None) -> int:
    """What an account can pay: nothing while it is frozen."""
    if account is None or account.frozen:
        return 0
    return max(account.available or 0, 0)


def _frozen(account: AccountState | None) -> bool:
    return account is not None and account.frozen


def _payments(debtor: PartyRef, contract: SettledContract, prefix: str) -> list[TransactionDraft]:
    """Payments of a debtor to its creditors, in the order of their parties, until cash or debt is used up."""
    cash = AccountKey(debtor.id, contract.currency_id, Role.CASH)
    debt = AccountKey(debtor.id, contract.currency_id, Role.DEBT)
    free = _free(load_accounts([cash]).get(cash))
    on_debtor = Q(qualifier=debtor.code) | Q(qualifier__startswith=f"{debtor.code}/")
    claims = Account.objects.filter(on_debtor, asset_id=contract.currency_id, role=Role.CLAIM, balance__gt=0).order_by(
        "party_id", "qualifier"
    )
    creditors = load_parties(claim.party_id for claim in claims)
    drafts = []
    for claim in claims:
        paid = min(free, claim.balance)
        if paid <= 0:
            break
        free -= paid
        key = AccountKey(claim.party_id, contract.currency_id, Role.CLAIM, claim.qualifier)
        drafts.append(
            TransactionDraft(
                kind=CLEAR_DEBT,
                source=SOURCE,
                reference=f"{prefix}/{claim.qualifier}/{creditors[claim.party_id].code}/{CLEAR_DEBT}",
                effective_at=contract.delivery_end,
                legs=(Leg(cash, -paid), Leg(debt, paid), Leg(claimed_account(key), paid), Leg(key, -paid)),
            )
        )
    return drafts
