"""A later run's change of a position as one ledger transaction, and what happens when a payer cannot cover it. Pure.

Escrow is empty by then, so the money comes back from whoever got too much. All lines of a position go into one
transaction, which is judged by where it leaves its accounts: damages and overage come out of what is still held for
them, all else out of free cash, for a bond secures damages of later runs and pays debts when it is released. What is
missing becomes the payer's debt and the payees' claim on that payer, and what is only claimed cannot be held back
again: the hold is so much smaller. So no run ever fails for lack of a party's cash.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.money import split_largest_remainder
from settlement.calculation import PositionOutcome, difference
from settlement.postings import SOURCE, PositionAccounts, position_holds, position_legs

ADJUSTMENT = "adjustment"
DEBT_REF, CLAIM_REF = "debt", "claim"


def adjustment_reference(accounts: PositionAccounts, run_key: str) -> str:
    """The journal reference of a position's adjustment in a run."""
    return f"{run_key}/{accounts.contract}/{accounts.buyer.code}/{accounts.provider.code}/{ADJUSTMENT}"


def draft_adjustment(
    new: PositionOutcome,
    old: PositionOutcome,
    accounts: PositionAccounts,
    *,
    run_key: str,
    effective_at: datetime,
    credits: Iterable[Leg] = (),
) -> TransactionDraft | None:
    """What the figures of a later run change against those posted before; None if nothing. `credits`: legs of what
    disputes gave already."""
    change = difference(new, old)
    legs = tuple(leg for leg in position_legs(change, accounts) if leg.amount) + tuple(credits)
    holds = tuple(hold for hold in position_holds(change, accounts) if hold.delta)
    if not legs and not holds:
        return None
    return TransactionDraft(
        kind=ADJUSTMENT,
        source=SOURCE,
        reference=adjustment_reference(accounts, run_key),
        effective_at=effective_at,
        legs=legs,
        holds=holds,
    )


def within_holds(draft: TransactionDraft, held: Mapping[str, int]) -> TransactionDraft:
    """The draft, taking no more out of each hold than is left of it by its ref: the rest is for free cash to pay."""
    changes = ((hold, max(hold.delta, -held.get(hold.ref, 0))) for hold in draft.holds)
    return replace(draft, holds=tuple(HoldChange(hold.account, delta, hold.ref) for hold, delta in changes if delta))


def claim_qualifier(debtor: str, payee: AccountKey) -> str:
    """How a claim says on whom it is and, unless that is cash, which of its owner's accounts is to be paid."""
    return debtor if payee.role is Role.CASH else f"{debtor}/{payee.role}"


def claimed_account(claim: AccountKey) -> AccountKey:
    """The account that a claim wants paid."""
    _, _, account = claim.qualifier.partition("/")
    role, _, qualifier = account.partition("/")
    return claim._replace(role=Role(role or Role.CASH), qualifier=qualifier)


def cover(
    draft: TransactionDraft, free: Mapping[AccountKey, int], codes: Mapping[int, str]
) -> tuple[TransactionDraft, dict[AccountKey, int]]:
    """The draft with every shortage turned into debt and claims, and what is free on its money accounts afterwards.

    `free` holds what each money account could spend before; `codes` names the parties, for a claim says on whom it is.
    What was to be held back again pays first, on its own account: it is there only as far as the credit for it is.
    """
    moves = _money_moves(draft, free)
    gains = {key: micros for key, micros in _legs_by_account(draft, free).items() if micros > 0}
    after = {key: free[key] + moves[key] for key in moves}
    unheld = _give_up_holds(draft, after)
    legs: list[Leg] = []
    for payer in sorted(key for key in after if after[key] < 0 and moves[key] < 0):
        short = -after[payer]
        legs += [Leg(payer, short, DEBT_REF), Leg(payer._replace(role=Role.DEBT, qualifier=""), -short, DEBT_REF)]
        after[payer] = 0
        names = {f"{index:06d}": key for index, key in enumerate(sorted(gains))}
        parts = split_largest_remainder(short, {name: gains[key] for name, key in names.items()})
        for name, key in names.items():
            if parts[name]:
                gains[key] -= parts[name]
                after[key] -= parts[name]
                claim = key._replace(role=Role.CLAIM, qualifier=claim_qualifier(codes[payer.party_id], key))
                legs += [Leg(key, -parts[name], CLAIM_REF), Leg(claim, parts[name], CLAIM_REF)]
    unheld.update(_give_up_holds(draft, after))
    holds = _less_held(draft.holds, unheld) if unheld else draft.holds
    return (replace(draft, legs=draft.legs + tuple(legs), holds=holds) if legs or unheld else draft), after


def _give_up_holds(draft: TransactionDraft, after: dict[AccountKey, int]) -> Counter[AccountKey]:
    """How much less is to be held anew on accounts that lack money; `after` is raised by it."""
    given_up: Counter[AccountKey] = Counter()
    for hold in draft.holds:
        if hold.delta > 0 and after.get(hold.account, 0) < 0:
            micros = min(hold.delta, -after[hold.account])
            given_up[hold.account] += micros
            after[hold.account] += micros
    return given_up


def _less_held(holds: Iterable[HoldChange], unheld: Mapping[AccountKey, int]) -> tuple[HoldChange, ...]:
    left, kept = dict(unheld), []
    for hold in holds:
        less = max(min(hold.delta, left.get(hold.account, 0)), 0)
        left[hold.account] = left.get(hold.account, 0) - less
        if hold.delta != less:
            kept.append(HoldChange(hold.account, hold.delta - less, hold.ref))
    return tuple(kept)


def _legs_by_account(draft: TransactionDraft, money: Mapping[AccountKey, int]) -> dict[AccountKey, int]:
    sums: dict[AccountKey, int] = defaultdict(int)
    for leg in draft.legs:
        if leg.account in money:
            sums[leg.account] += leg.amount
    return sums


def _money_moves(draft: TransactionDraft, money: Mapping[AccountKey, int]) -> dict[AccountKey, int]:
    """By how much each money account's free amount changes: its legs, less what is newly held."""
    moves = _legs_by_account(draft, money)
    for hold in draft.holds:
        if hold.account in money:
            moves[hold.account] = moves.get(hold.account, 0) - hold.delta
    return dict(moves)
