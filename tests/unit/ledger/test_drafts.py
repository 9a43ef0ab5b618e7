from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ledger.chart import UNBOUNDED_ROLES, AccountKey, Role, opening_floor
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.errors import InvalidAmount, InvalidText, UnbalancedTransaction
from ledger.money import MAX_AMOUNT
from ledger.texts import MAX_KIND, MAX_REF, MAX_REFERENCE, MAX_SOURCE

AT = datetime(2026, 12, 1, tzinfo=UTC)
OUTSIDE = AccountKey(1, 1, Role.EXTERNAL)
CASH = AccountKey(2, 1, Role.CASH)
OTHER_ASSET = AccountKey(2, 9, Role.ENTITLEMENT)
DEPOSIT = TransactionDraft("deposit", "bank", "42", AT, (Leg(OUTSIDE, -5), Leg(CASH, 5)), (HoldChange(CASH, 1),))


def test_legs_must_balance_in_every_asset() -> None:
    with pytest.raises(UnbalancedTransaction) as refused:
        replace(DEPOSIT, legs=(Leg(OUTSIDE, -5), Leg(CASH, 4)))
    assert refused.value.fields == {"asset": 1, "total": "-1"}
    with pytest.raises(UnbalancedTransaction):
        replace(DEPOSIT, legs=(Leg(CASH, 5), Leg(OTHER_ASSET, -5)))


@pytest.mark.parametrize("amount", [0, MAX_AMOUNT + 1, -MAX_AMOUNT - 1])
def test_a_leg_moves_something_that_fits_a_column(amount: int) -> None:
    with pytest.raises(InvalidAmount):
        replace(DEPOSIT, legs=(Leg(OUTSIDE, -amount), Leg(CASH, amount)))


def draft_with(field: str, text: str, ref_of: str = "leg") -> TransactionDraft:
    """The deposit with a text put into it; a ref goes to its second leg, or to its hold change."""
    if field != "ref":
        changed: dict[str, Any] = {field: text}
        return replace(DEPOSIT, **changed)
    if ref_of == "leg":
        return replace(DEPOSIT, legs=(Leg(OUTSIDE, -5), Leg(CASH, 5, text)))
    return replace(DEPOSIT, holds=(HoldChange(CASH, 1, text),))


@pytest.mark.parametrize(
    ("field", "longest", "ref_of"),
    [
        ("kind", MAX_KIND, ""),
        ("source", MAX_SOURCE, ""),
        ("reference", MAX_REFERENCE, ""),
        ("ref", MAX_REF, "leg"),
        ("ref", MAX_REF, "hold"),
    ],
)
def test_texts_that_the_journal_cannot_hold_are_refused_with_their_name(field: str, longest: int, ref_of: str) -> None:
    draft_with(field, "价" * longest, ref_of)  # characters count, not bytes
    draft_with(field, "", ref_of)
    with pytest.raises(InvalidText) as refused:
        draft_with(field, "x" * (longest + 1), ref_of)
    assert refused.value.fields == {"field": field, "longest": longest}
    for text in ("\0", "a\0b", "half \ud83d", "\udfff价"):
        with pytest.raises(InvalidText) as refused:
            draft_with(field, text, ref_of)
        assert refused.value.fields == {"field": field}
        assert refused.value.message.isprintable()


def test_a_draft_may_move_holds_alone() -> None:
    assert replace(DEPOSIT, legs=()).legs == ()


def test_an_identical_repeat_has_the_same_hash() -> None:
    assert replace(DEPOSIT).request_hash() == DEPOSIT.request_hash()


@pytest.mark.parametrize(
    "other",
    [
        replace(DEPOSIT, kind="withdrawal"),
        replace(DEPOSIT, effective_at=AT + timedelta(seconds=1)),
        replace(DEPOSIT, legs=(Leg(OUTSIDE, -6), Leg(CASH, 6))),
        replace(DEPOSIT, legs=(Leg(OUTSIDE, -5), Leg(CASH, 5, "ref"))),
        replace(DEPOSIT, legs=(Leg(OUTSIDE, -5), Leg(AccountKey(3, 1, Role.CASH), 5))),
        replace(DEPOSIT, holds=()),
        replace(DEPOSIT, holds=(HoldChange(CASH, 1, "order/1"),)),
        replace(DEPOSIT, reverses=7),
    ],
)
def test_other_content_has_another_hash(other: TransactionDraft) -> None:
    assert other.request_hash() != DEPOSIT.request_hash()


def test_only_the_outside_world_and_debts_have_no_floor() -> None:
    assert {role for role in Role if opening_floor(role) is None} == UNBOUNDED_ROLES == {Role.EXTERNAL, Role.DEBT}
    assert opening_floor(Role.CASH) == 0
