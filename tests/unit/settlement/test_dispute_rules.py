"""What may be disputed and by how much; the postings of a dispute; the lines that statements tell of it."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from ledger.chart import AccountKey, Role
from ledger.errors import InvalidAmount
from settlement.adjustments import cover
from settlement.disputes.errors import DisputeTooLate, LineNotDisputable
from settlement.disputes.frozen import FrozenDispute, dispute_lines
from settlement.disputes.postings import (
    Suspension,
    draft_release,
    draft_settlement,
    draft_suspension,
    payee_account,
)
from settlement.disputes.rules import DisputedLine, check_amount, check_deadline

NOW = datetime(2026, 12, 1, tzinfo=UTC)
HOUSE, BUYER, PROVIDER, CNY = 1, 2, 3, 7
MINIMUM = 10_000


def line(most: int) -> DisputedLine:
    return DisputedLine("delivered", 5, BUYER, PROVIDER, PROVIDER, most)


@pytest.mark.parametrize(
    ("most", "micros", "error"),
    [
        (336_000, 336_000, None),
        (336_000, 10_000, None),
        (336_000, 9_999, InvalidAmount),
        (336_000, 336_001, LineNotDisputable),
        (1_121, 1_121, None),  # less than the minimum, but the whole line
        (1_121, 1_120, InvalidAmount),
        (1_121, 1_122, LineNotDisputable),
        (1, 1, None),
        (336_000, 0, InvalidAmount),
        (336_000, -336_000, InvalidAmount),
        (0, 0, LineNotDisputable),
        (0, 1, LineNotDisputable),
    ],
)
def test_how_much_of_a_line_may_be_disputed(most: int, micros: int, error: type[Exception] | None) -> None:
    if error is None:
        check_amount(micros, line(most), minimum_micros=MINIMUM)
    else:
        with pytest.raises(error):
            check_amount(micros, line(most), minimum_micros=MINIMUM)


def test_the_deadline_is_the_first_instant_that_is_too_late() -> None:
    check_deadline(NOW, NOW - timedelta(microseconds=1))
    for late in (timedelta(), timedelta(days=1)):
        with pytest.raises(DisputeTooLate):
            check_deadline(NOW, NOW + late)
    with pytest.raises(DisputeTooLate):
        check_deadline(None, NOW)


def test_who_has_the_money_of_a_line() -> None:
    def at(kind: str, party: int) -> AccountKey:
        return payee_account(kind, party, currency_id=CNY, house_id=HOUSE)

    assert at("delivered", PROVIDER) == AccountKey(PROVIDER, CNY, Role.CASH)
    assert at("share", 9) == AccountKey(9, CNY, Role.CASH)
    assert at("share", HOUSE) == AccountKey(HOUSE, CNY, Role.HELD_SHARE)
    for kind in ("provider_fee", "overage_fee", "made_up_fee"):
        assert at(kind, HOUSE) == AccountKey(HOUSE, CNY, Role.FEES)


def test_whatever_is_suspended_and_decided_nothing_is_left_and_lines_are_legs() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for number in range(300):
        disputed = dice.randint(1, 1_000_000)
        suspended, decided = dice.choice([0, dice.randint(1, disputed), disputed]), dice.randint(1, disputed)
        payee = AccountKey(PROVIDER, CNY, Role.CASH)
        creditor = AccountKey(BUYER, CNY, Role.CASH)
        suspension = Suspension(number, "SYMBOL", payee, HOUSE, suspended)
        balances: Counter[AccountKey] = Counter({payee: suspended + dice.choice([0, disputed])})
        total, before = sum(balances.values()), balances[payee]
        drafts = [draft_suspension(suspension, effective_at=NOW)] if suspended else []
        for leg in (leg for draft in drafts for leg in draft.legs):
            balances[leg.account] += leg.amount
        settlement = draft_settlement(suspension, creditor, decided, effective_at=NOW)
        free = {payee: balances[payee], creditor: 0}
        covered, _ = cover(settlement, free, {PROVIDER: "provider", BUYER: "buyer"})
        refs: Counter[tuple[int, str]] = Counter()
        for leg in covered.legs:
            balances[leg.account] += leg.amount
            if leg.account.role is Role.CASH and leg.ref not in ("debt", "claim"):
                refs[leg.account.party_id, leg.ref] += leg.amount
        assert sum(balances.values()) == total
        assert balances[suspension.suspense] == 0
        debt = max(0, decided - before)
        assert (balances[payee], balances[creditor]) == (max(0, before - decided), decided - debt)
        assert balances[creditor._replace(role=Role.CLAIM, qualifier="provider")] == debt
        assert balances[payee._replace(role=Role.DEBT)] == -debt
        frozen = FrozenDispute(number, "b", "p", "b", "p", "cash", "delivered", decided, suspended)
        assert FrozenDispute.from_json(json.loads(json.dumps(frozen.to_json()))) == frozen
        told = {
            (BUYER if each.party == "b" else PROVIDER, each.ref): each.amount_micros for each in dispute_lines(frozen)
        }
        assert told == dict(refs)
        assert {each.reference for each in dispute_lines(frozen)} == {settlement.reference}


def test_what_is_released_is_what_was_suspended() -> None:
    suspension = Suspension(7, "SYMBOL", AccountKey(PROVIDER, CNY, Role.CASH), HOUSE, 500)
    taken, back = draft_suspension(suspension, effective_at=NOW), draft_release(suspension, effective_at=NOW)
    assert [(leg.account, -leg.amount) for leg in taken.legs] == [(leg.account, leg.amount) for leg in back.legs]
    assert (taken.reference, back.reference) == ("dispute/7/suspense", "dispute/7/release")


def test_what_the_house_holds_for_nobody_known_stands_on_no_statement() -> None:
    frozen = FrozenDispute(7, "b", "p", "p", "house", "held_share", "share", 300, 500)
    assert [(each.party, each.kind, each.amount_micros) for each in dispute_lines(frozen)] == [("p", "dispute", 300)]
