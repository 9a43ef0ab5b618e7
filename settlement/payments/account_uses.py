"""What payments need accounts for."""

from __future__ import annotations

from ledger.chart import AccountKey, Role
from ledger.restrictions import AccountUse, register_account_use
from settlement.models import InstructionState, PaymentInstruction, RequestState
from settlement.payments.pots import CAPITAL


def _waterfall(key: AccountKey) -> str:
    shared = key.role is Role.DEFAULT_FUND and key.qualifier in ("", CAPITAL)
    return "the default waterfall may need it any time" if shared else ""


def _returns(key: AccountKey) -> str:
    """What a bank still has may come back; what it has paid comes back within days, if at all."""
    if key.role is not Role.CASH:
        return ""
    own = PaymentInstruction.objects.filter(party_id=key.party_id, netting__currency_id=key.asset_id)
    if own.filter(state__in=[InstructionState.CREATED, InstructionState.EXPORTED]).exists():
        return "a payment to its owner is on its way"
    waiting = own.filter(returns__state=RequestState.REQUESTED)
    return "a payment to its owner came back and waits to be accepted" if waiting.exists() else ""


def register() -> None:
    """Let the ledger know them."""
    register_account_use(AccountUse("settlement.waterfall", _waterfall))
    register_account_use(AccountUse("settlement.payments", _returns))
