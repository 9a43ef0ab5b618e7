"""Walking a party's uncovered debt through the default waterfall: asked for by one person, done by another.

Debts and claims come from later runs that a payer's bond and cash could not cover. The defaulter's own means (cash,
frozen or not, and its contribution) pay all who claim from it and lower its debt. Capital, mutual fund and the other
members' contributions pay those who are not the house, and take over their claims: the debt stays, and what comes in
later makes them whole again. What none can bear is cut from the claims. The money of others is touched only when
nothing is held on the defaulter's cash any more: bonds and disputes come first.

Each step is a transaction of its own, of the kind `waterfall_<layer>`; all are posted together or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import Leg, TransactionDraft
from ledger.models import Account, ActionLog, Party
from ledger.money import format_micros
from ledger.selectors.parties import get_currency, get_house_id, get_party
from settlement.adjustments import claimed_account
from settlement.payments.errors import WaterfallNotNeeded
from settlement.payments.lock import lock_payments
from settlement.payments.postings import SOURCE
from settlement.payments.pots import CAPITAL, MEMBER
from settlement.payments.requests import ask, take
from settlement.waterfall import OWN_LAYERS, Layer, Resource, Step, spread, walk

WALK_WATERFALL = "walk_waterfall"
KINDS = {
    Layer.CASH: "waterfall_cash",
    Layer.CONTRIBUTION: "waterfall_contribution",
    Layer.CAPITAL: "waterfall_capital",
    Layer.FUND: "waterfall_fund",
    Layer.ASSESSMENT: "waterfall_assessment",
    Layer.HAIRCUT: "waterfall_haircut",
}


@dataclass(slots=True)
class Claim:
    """What an account still claims from the defaulter. `of_house`: paid by the defaulter's own means alone."""

    key: AccountKey
    micros: int
    of_house: bool


@transaction.atomic
def ask_to_walk(party: str, currency: str, reason: str, *, actor: str, now: datetime) -> ActionLog:
    """Ask to walk a party's debt through the waterfall. Raises `NotFound`, `ReasonMissing` and `WaterfallNotNeeded`."""
    lock_payments()
    debtor, currency_id = get_party(party), get_currency(currency).pk
    claims = _claims(debtor, currency_id)
    details = {"party": party, "currency": currency, "debt": format_micros(sum(claim.micros for claim in claims))}
    return ask(WALK_WATERFALL, f"party:{party}", details, reason, actor=actor, now=now)


@transaction.atomic
def walk_waterfall(request_id: int, *, actor: str, now: datetime) -> tuple[Step, ...]:
    """Do the walk that was asked for, by another person; what each owner bore, in order.

    Raises `NotFound`, `NeedsAnotherPerson`, `RequestNotOpen`, and `WaterfallNotNeeded` when nothing is owed any more or
    nobody may be asked yet.
    """
    lock_payments()
    asked = take(request_id, WALK_WATERFALL, actor=actor, now=now).details
    debtor, currency_id = get_party(asked["party"]), get_currency(asked["currency"]).pk
    journal.lock_head()
    claims = _claims(debtor, currency_id)
    cash = AccountKey(debtor.pk, currency_id, Role.CASH)
    account = journal.load_accounts([cash]).get(cash)
    held = 0 if account is None else account.held
    resources = list(_resources(debtor, currency_id, account))
    steps = _steps(claims, resources, alone=held > 0)
    if not steps:
        raise WaterfallNotNeeded(
            f"{debtor.code} has no means of its own, and those of others wait until nothing is held on its cash.",
            held=format_micros(held),
        )
    drafts = [
        draft
        for number, step in enumerate(steps, start=1)
        for draft in _drafts(step, claims, debtor, f"waterfall/{request_id}/{number:03d}", now)
    ]
    frozen = account is not None and account.frozen and any(step.layer is Layer.CASH for step in steps)
    if frozen:  # it gives nothing, except here, to those it owes
        _set_frozen(cash, False, actor, now)
    journal.post(drafts, actor=actor, now=now)
    if frozen:
        _set_frozen(cash, True, actor, now)
    return steps


def _steps(claims: Sequence[Claim], resources: Sequence[Resource], *, alone: bool) -> tuple[Step, ...]:
    """The walk of what others claim, and after it what the defaulter has left for the house."""
    others = sum(claim.micros for claim in claims if not claim.of_house)
    house = sum(claim.micros for claim in claims if claim.of_house)
    own = [resource for resource in resources if resource.layer in OWN_LAYERS]
    all_layers = own if alone else [*resources, Resource(Layer.HAIRCUT, "", others)]
    first = walk(others, all_layers)
    borne = {(step.layer, step.owner): step.micros for step in first}
    left = [Resource(each.layer, each.owner, each.micros - borne.get((each.layer, each.owner), 0)) for each in own]
    return first + tuple(walk(house, left))


def _drafts(step: Step, claims: Sequence[Claim], debtor: Party, name: str, now: datetime) -> Iterator[TransactionDraft]:
    """One step, spread over the claims that it may pay by what each still is; `claims` go down with it."""
    of_house = step.layer in OWN_LAYERS and not any(claim.micros for claim in claims if not claim.of_house)
    paid = [claim for claim in claims if claim.of_house == of_house and claim.micros]
    source = _source(step, debtor, paid[0].key.asset_id)
    debt = AccountKey(debtor.pk, paid[0].key.asset_id, Role.DEBT)
    legs: list[Leg] = []
    for claim, micros in zip(paid, spread(step.micros, [claim.micros for claim in paid]), strict=True):
        if not micros:
            continue
        claim.micros -= micros
        legs.append(Leg(claim.key, -micros, step.layer))
        if source is not None:
            legs.append(Leg(claimed_account(claim.key), micros, step.layer))
    if source is not None:
        legs.append(Leg(source, -step.micros, step.layer))
    if step.layer in OWN_LAYERS or source is None:
        legs.append(Leg(debt, step.micros, step.layer))
    else:
        legs.append(Leg(_taken_over(source, debtor), step.micros, step.layer))
    yield TransactionDraft(kind=KINDS[step.layer], source=SOURCE, reference=name, effective_at=now, legs=tuple(legs))


def _source(step: Step, debtor: Party, currency_id: int) -> AccountKey | None:
    """Whose account bears a step; none does when it is cut from the claims."""
    if step.layer is Layer.CASH:
        return AccountKey(debtor.pk, currency_id, Role.CASH)
    if step.layer is Layer.HAIRCUT:
        return None
    return AccountKey(get_house_id(), currency_id, Role.DEFAULT_FUND, step.owner)


def _taken_over(source: AccountKey, debtor: Party) -> AccountKey:
    """The claim of whoever paid for the defaulter: of capital for itself, of all members' money for the mutual fund."""
    suffix = f"/{CAPITAL}" if source.qualifier == CAPITAL else ""
    return source._replace(role=Role.CLAIM, qualifier=f"{debtor.code}/{source.role}{suffix}")


def _claims(debtor: Party, currency_id: int) -> list[Claim]:
    """What is claimed from a party, by claimant. Raises `WaterfallNotNeeded` when nothing is."""
    on_debtor = Q(qualifier=debtor.code) | Q(qualifier__startswith=f"{debtor.code}/")
    rows = Account.objects.filter(on_debtor, asset_id=currency_id, role=Role.CLAIM, balance__gt=0)
    house_id = get_house_id()
    claims = []
    for row in rows.order_by("party_id", "qualifier"):
        key = AccountKey(row.party_id, currency_id, Role.CLAIM, row.qualifier)
        # Shares without a known owner are somebody's; fees and what the fund took over are the house's.
        of_house = row.party_id == house_id and claimed_account(key).role is not Role.HELD_SHARE
        claims.append(Claim(key, row.balance, of_house))
    if not claims:
        raise WaterfallNotNeeded(f"{debtor.code} owes nobody anything.", party=debtor.code)
    return claims


def _resources(debtor: Party, currency_id: int, account: journal.AccountState | None) -> Iterator[Resource]:
    if account is not None and account.available is not None:
        yield Resource(Layer.CASH, debtor.code, max(account.available, 0))
    own = f"{MEMBER}{debtor.code}"
    pots = Account.objects.filter(party_id=get_house_id(), asset_id=currency_id, role=Role.DEFAULT_FUND, balance__gt=0)
    for qualifier, balance in pots.order_by("qualifier").values_list("qualifier", "balance"):
        layer = {"": Layer.FUND, CAPITAL: Layer.CAPITAL, own: Layer.CONTRIBUTION}.get(qualifier, Layer.ASSESSMENT)
        yield Resource(layer, qualifier, balance)


def _set_frozen(key: AccountKey, frozen: bool, actor: str, now: datetime) -> None:
    reason = "the default waterfall is walked" if not frozen else "frozen as before the default waterfall"
    journal.set_flags(key, frozen=frozen, closed=False, actor=actor, reason=reason, now=now)
