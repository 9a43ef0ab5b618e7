"""An account that trading will have to move is not closed."""

from __future__ import annotations

import dataclasses

import pytest

from exchange.models import Contract, ContractState, DecisionKind, Fill
from ledger.chart import AccountKey, Role
from ledger.errors import AccountNeeded
from ledger.models import Account, Party
from ledger.restrictions import close_account
from ledger.selectors.parties import get_house_id
from tests.audits import audit, findings
from tests.integration.exchange import market as small_market
from tests.integration.exchange.market import ACTOR, NOW, SYMBOL, Market
from tests.integration.exchange.test_operator_decisions import carry_out
from tests.two_operators import withdraw


def tokens_of(market: Market, party: Party, role: Role) -> AccountKey:
    return AccountKey(party.id, market.contract.asset_id, role)


def cash_of(market: Market, party: Party) -> AccountKey:
    return AccountKey(party.id, market.currency.id, Role.CASH)


def refused(key: AccountKey, use: str, why: str) -> None:
    with pytest.raises(AccountNeeded) as refusal:
        close(key)
    assert refusal.value.fields == {"role": key.role, "use": use}
    assert why in refusal.value.message
    assert not Account.objects.filter(closed=True).exists()


def close(key: AccountKey) -> None:
    close_account(key, reason="It is not used.", actor=ACTOR, now=NOW)


@pytest.fixture
def buyer(market: Market) -> Party:
    """Its only trade was busted."""
    buyer = market.party("buyer-1")
    market.offer(1, 400)
    market.buy(buyer, 1, 400)
    carry_out(market, DecisionKind.BUST_FILL, str(Fill.objects.get().id))
    return buyer


def test_accounts_of_a_contract_stay_open_until_it_is_settled(market: Market, buyer: Party) -> None:
    market.buy(buyer, 5, 410)
    escrow = AccountKey(get_house_id(), market.currency.id, Role.ESCROW, SYMBOL)
    keys = [
        tokens_of(market, buyer, Role.ENTITLEMENT),
        tokens_of(market, market.provider, Role.OBLIGATION),
        escrow,
    ]
    for state in (ContractState.TRADING, ContractState.CLOSED, ContractState.DELIVERED):
        Contract.objects.update(state=state)
        for key in keys:
            refused(key, "exchange.contract", f"{SYMBOL} is {state}, and not settled")
    Contract.objects.update(state=ContractState.SETTLED)
    for key in keys:
        close(key)


def test_a_contract_cancelled_before_delivery_needs_nothing_any_more(market: Market, buyer: Party) -> None:
    market.buy(buyer, 5, 410)
    carry_out(market, DecisionKind.CANCEL_CONTRACT, SYMBOL)
    close(tokens_of(market, buyer, Role.ENTITLEMENT))
    close(AccountKey(get_house_id(), market.currency.id, Role.ESCROW, SYMBOL))
    withdraw(buyer.id, market.currency.id, market.cash(buyer).balance, reference="all", now=NOW)
    close(cash_of(market, buyer))
    assert findings(audit()) == {}


def test_cash_stays_open_while_its_owner_has_a_position(market: Market) -> None:
    buyer = market.party("buyer-1", micros=3 * 400_000 + 2_400)
    market.offer(3, 400)
    market.buy(buyer, 3, 400)
    assert (market.cash(buyer).balance, market.cash(buyer).held) == (0, 0)
    refused(cash_of(market, buyer), "exchange.positions", "its owner has positions that are not settled")


@pytest.mark.usefixtures("database")
def test_cash_stays_open_while_its_owner_has_open_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """For an order without a bond it holds nothing."""
    monkeypatch.setattr(small_market, "TERMS", dataclasses.replace(small_market.TERMS, damages_cap_permille=0))
    market = Market()
    market.offer(3, 400)
    withdraw(market.provider.id, market.currency.id, 1_000_000_000, reference="all", now=NOW)
    assert (market.cash(market.provider).balance, market.cash(market.provider).held) == (0, 0)
    refused(cash_of(market, market.provider), "exchange.open_orders", "its owner has open orders")
