"""What settlement needs accounts for: none of them is closed before the final run of what it settles."""

from __future__ import annotations

from itertools import pairwise

from django.db.models import Exists, OuterRef, Q, QuerySet

from exchange.account_uses import OVER, contracts_of
from exchange.models import Contract
from ledger.chart import TOKEN_ROLES, AccountKey, Role
from ledger.models import Account, Party
from ledger.restrictions import AccountUse, register_account_use
from settlement.models import JobState, JobStep, RunContract, RunKind, RunState, SettlementJob, ShareSchedule


def _unfinished() -> QuerySet[Contract]:
    """Contracts that an initial run took and whose holds are not freed yet: until then runs may post."""
    freed = SettlementJob.objects.filter(
        step=JobStep.RELEASE, state=JobState.DONE, run_id=OuterRef("run_id"), subject_id=OuterRef("shard")
    )
    done = RunContract.objects.filter(Exists(freed) | _freed_at_once())
    covered = RunContract.objects.filter(run__kind=RunKind.INITIAL).exclude(contract_id__in=done.values("contract_id"))
    return Contract.objects.filter(id__in=covered.values("contract_id"))


def _freed_at_once() -> Q:
    """Final runs of earlier releases freed what was held as they posted; they name no usage that they read."""
    return Q(run__kind=RunKind.FINAL, run__usage_through=None) & ~Q(run__state=RunState.OPEN)


def _final_run(key: AccountKey) -> str:
    """A final run may move the contract's accounts, and the cash of whoever had a position."""
    contract = contracts_of(key).filter(id__in=_unfinished().values("id")).first()
    if contract is not None:
        return f"the final settlement of {contract.symbol} is to come"
    traded = Account.objects.filter(party_id=key.party_id, role__in=TOKEN_ROLES, seq__gt=0)
    awaited = traded.filter(asset_id__in=_unfinished().filter(product__currency_id=key.asset_id).values("asset_id"))
    return "the final settlement of its owner's positions is to come" if _is_cash(key) and awaited.exists() else ""


def _debts(key: AccountKey) -> str:
    if key.role in (Role.DEBT, Role.CLAIM):
        return "a later settlement may write to it again"
    open_debts = Account.objects.filter(
        party_id=key.party_id, asset_id=key.asset_id, role__in=(Role.DEBT, Role.CLAIM)
    ).exclude(balance=0)
    return "its owner owes or is owed money from a settlement" if _is_cash(key) and open_debts.exists() else ""


def _shares(key: AccountKey) -> str:
    """A party with a share is paid by the schedule that was in force when the contract's gate closed."""
    if not _is_cash(key):
        return ""
    code = Party.objects.values_list("code", flat=True).get(id=key.party_id)
    rows = ShareSchedule.objects.filter(product__currency_id=key.asset_id)
    versions = [*rows.order_by("provider_id", "product_id", "version"), None]
    for row, following in pairwise(versions):
        if row is None or all(part["party"] != code for part in row.weights.values()):
            continue
        closing = Contract.objects.filter(product_id=row.product_id, gate_close__gte=row.created_at)
        if following is None or (following.provider_id, following.product_id) != (row.provider_id, row.product_id):
            return "its owner has a share of a provider's income"
        concerned = closing.filter(gate_close__lt=following.created_at)
        if concerned.filter(~OVER | Q(id__in=_unfinished().values("id"))).exists():
            return "its owner has a share of income that is not settled"
    return ""


def _is_cash(key: AccountKey) -> bool:
    return key.role is Role.CASH


def register() -> None:
    """Let the ledger know them."""
    register_account_use(AccountUse("settlement.final_run", _final_run))
    register_account_use(AccountUse("settlement.debts", _debts))
    register_account_use(AccountUse("settlement.shares", _shares))
