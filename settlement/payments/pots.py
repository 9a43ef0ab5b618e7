"""The accounts of the default waterfall: there from the first day, empty, and filled and emptied by two people.

All are the house's `default_fund` accounts: the mutual fund without qualifier, `capital` for the operator's own money,
`member/<code>` for what a party contributed.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from django.db import transaction

from ledger import journal
from ledger.chart import AccountKey, AssetKind, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.errors import InvalidAmount, NotFound
from ledger.models import ActionLog, Asset, Party, PartyKind
from ledger.money import MAX_AMOUNT, format_micros, parse_micros
from ledger.selectors.parties import get_currency, get_house_id, get_party
from settlement.payments.lock import lock_payments
from settlement.payments.postings import SOURCE
from settlement.payments.requests import ask, take

FUND_WATERFALL = "fund_waterfall"
CAPITAL = "capital"
MEMBER = "member/"


class Pot(StrEnum):
    """Whose money a waterfall account holds, and where it comes from and goes back to."""

    FUND = "fund"  # the house's fees
    CAPITAL = "capital"  # the house's cash
    MEMBER = "member"  # a party's cash


def pot_account(pot: Pot, currency_id: int, party: Party | None = None) -> AccountKey:
    """The house's account of a pot; `party` is the member's."""
    qualifier = {Pot.FUND: "", Pot.CAPITAL: CAPITAL}.get(pot, "")
    if pot is Pot.MEMBER:
        if party is None or party.kind not in (PartyKind.PROVIDER, PartyKind.BUYER):
            raise NotFound("Only a provider or a buyer contributes to the fund.", field="party")
        qualifier = f"{MEMBER}{party.code}"
    return AccountKey(get_house_id(), currency_id, Role.DEFAULT_FUND, qualifier)


@transaction.atomic
def open_pots(*, actor: str, now: datetime) -> None:
    """Open the accounts that everybody shares, in every currency. Those that are there stay as they are.

    By a transaction that leaves them at 0: an account that nothing tells of would be missing in a replay.
    """
    journal.lock_head()
    for currency in Asset.objects.filter(kind=AssetKind.CURRENCY).order_by("id"):
        pots = [pot_account(pot, currency.pk) for pot in (Pot.FUND, Pot.CAPITAL)]
        if missing := [key for key in pots if key not in journal.load_accounts(pots)]:
            draft = TransactionDraft(
                kind="open_waterfall",
                source=SOURCE,
                reference=f"waterfall/open/{currency.code}/{len(missing)}",
                effective_at=now,
                legs=tuple(Leg(key, micro) for key in missing for micro in (1, -1)),
            )
            journal.post([draft], actor=actor, now=now)


@transaction.atomic
def ask_to_fund(
    pot: Pot, currency: str, micros: int, reason: str, *, party: str = "", actor: str, now: datetime
) -> ActionLog:
    """Ask to put money into a pot, or to give some back (negative micros). Nothing moves before another person agrees.

    Raises `InvalidAmount`, `NotFound` and `ReasonMissing`.
    """
    if not 0 < abs(micros) <= MAX_AMOUNT:
        raise InvalidAmount("An amount is more or less than 0.", field="amount")
    lock_payments()
    pot_account(pot, get_currency(currency).pk, get_party(party) if pot is Pot.MEMBER else None)
    details = {"pot": pot.value, "currency": currency, "amount": format_micros(micros), "party": party}
    return ask(FUND_WATERFALL, f"waterfall:{currency}", details, reason, actor=actor, now=now)


@transaction.atomic
def fund_waterfall(request_id: int, *, actor: str, now: datetime) -> int:
    """Do what was asked for, by another person; the number of the transaction.

    Raises `NotFound`, `NeedsAnotherPerson`, `RequestNotOpen`, `InsufficientFunds` and `AccountFrozen`.
    """
    lock_payments()
    asked = take(request_id, FUND_WATERFALL, actor=actor, now=now).details
    currency_id = get_currency(asked["currency"]).pk
    pot = Pot(asked["pot"])
    party = get_party(asked["party"]) if pot is Pot.MEMBER else None
    source = AccountKey(get_house_id(), currency_id, Role.FEES if pot is Pot.FUND else Role.CASH)
    if party is not None:
        source = AccountKey(party.pk, currency_id, Role.CASH)
    micros = parse_micros(asked["amount"])
    draft = TransactionDraft(
        kind=FUND_WATERFALL,
        source=SOURCE,
        reference=f"waterfall/{request_id}/fund",
        effective_at=now,
        legs=(Leg(source, -micros, pot), Leg(pot_account(pot, currency_id, party), micros, pot)),
    )
    (posted,) = journal.post([draft], actor=actor, now=now)
    return posted.transaction_id
