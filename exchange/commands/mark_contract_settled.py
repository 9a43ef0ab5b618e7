"""The last step of a contract's life."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.errors import UnknownContract, WrongContractState
from exchange.models import Contract, ContractState
from ledger.actions import record_action


@dataclass(frozen=True, slots=True)
class MarkContractSettled:
    """Settlement has emptied the contract's escrow, entitlements and obligations."""

    contract_id: int


@transaction.atomic
def mark_contract_settled(command: MarkContractSettled, *, actor: str, now: datetime) -> None:
    """Delivered becomes settled, and so does what was cancelled while it was delivered; settled stays so.

    Raises `UnknownContract` and `WrongContractState`.
    """
    contract = Contract.objects.select_for_update().filter(id=command.contract_id).first()
    if contract is None:
        raise UnknownContract(f"There is no contract {command.contract_id}.", contract=str(command.contract_id))
    if contract.state == ContractState.SETTLED:
        return
    cut_short = contract.cancelled_at is not None and contract.cancelled_at >= contract.delivery_start
    if contract.state != ContractState.DELIVERED and not cut_short:
        raise WrongContractState(
            f"{contract.symbol} is {contract.state}; only a delivered contract is settled.",
            contract=contract.symbol,
            state=contract.state,
        )
    Contract.objects.filter(id=contract.id).update(state=ContractState.SETTLED)
    record_action(actor=actor, action="contract_settled", subject=f"contract:{contract.symbol}", now=now)
