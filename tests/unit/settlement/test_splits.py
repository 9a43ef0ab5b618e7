from __future__ import annotations

import pytest

from ledger.money import split_largest_remainder
from settlement.errors import InvalidSplitSchedule
from settlement.splits import ALL_TO_PROVIDER, Recipient, Share, ShareSchedule, split
from tests.unit.settlement.worked_examples import SCHEDULE


def test_ties_go_to_the_lowest_beneficiary_id() -> None:
    assert split_largest_remainder(100, {"b": 1, "c": 1, "a": 1}) == {"a": 34, "b": 33, "c": 33}


def test_shares_sum_to_the_net_amount() -> None:
    assert [share.micros for share in split(372_679, SCHEDULE)] == [260_875, 74_536, 37_268]
    assert [share.micros for share in split(0, SCHEDULE)] == [0, 0, 0]


def test_without_a_schedule_of_its_own_all_stays_with_the_provider() -> None:
    (share,) = split(99, ALL_TO_PROVIDER)
    assert (share.share.recipient, share.micros) == (Recipient.PROVIDER, 99)


@pytest.mark.parametrize(
    "shares",
    [
        (),
        (Share("a", 999_999, Recipient.PROVIDER),),
        (Share("a", 1_000_001, Recipient.PROVIDER), Share("b", -1, Recipient.UNKNOWN)),
        (Share("a", 500_000, Recipient.PROVIDER), Share("a", 500_000, Recipient.UNKNOWN)),
        (Share("", 1_000_000, Recipient.PROVIDER),),
        (Share("a", 1_000_000, Recipient.PARTY),),
        (Share("a", 1_000_000, Recipient.UNKNOWN, 7),),
    ],
)
def test_schedules_that_do_not_make_up_the_whole_are_refused(shares: tuple[Share, ...]) -> None:
    with pytest.raises(InvalidSplitSchedule):
        ShareSchedule(version=1, shares=shares)
