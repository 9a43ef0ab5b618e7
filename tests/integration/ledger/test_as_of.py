"""Balances and holds of the past, against an oracle that adds up in Python what was posted."""

from __future__ import annotations

import random
from collections.abc import Container
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.errors import NotFound
from ledger.models import Account, Entry, PartyKind
from ledger.parties.commands import register_currency, register_party
from ledger.selectors.accounts import list_balances
from ledger.selectors.history import Figures, Point, figures_at, find_point, last_transaction_by
from tests.conftest import DatabaseUrls

NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
NOTHING = Figures(0, 0, 0, 0)


class Day:
    """A day of random postings, and its own record of them."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.clock = NOW
        self.batches: list[tuple[datetime, int]] = []  # (posted at, last transaction)
        self.posted: dict[int, TransactionDraft] = {}
        currency = register_currency("CNY", actor="test", now=NOW).id
        house = register_party("house", "house", PartyKind.HOUSE, actor="test", now=NOW).id
        self.external = AccountKey(house, currency, Role.EXTERNAL)
        self.cash = [
            AccountKey(register_party(code, code, PartyKind.BUYER, actor="test", now=NOW).id, currency, Role.CASH)
            for code in ("ada", "bob", "eve")
        ]
        with transaction.atomic():
            journal.open_accounts([self.external, *self.cash])
        self.ids = {key: row.id for key, row in journal.load_accounts([self.external, *self.cash]).items()}
        self.free = dict.fromkeys(self.cash, 0)
        self.held = dict.fromkeys(self.cash, 0)

    def post(self, batches: int) -> None:
        """Random batches, also some whose writer read the clock long before its turn came."""
        for _ in range(batches):
            self.clock += timedelta(seconds=self.dice.choice([0, 0, 1, 60, 900]))
            waited = timedelta(seconds=self.dice.choice([0, 0, 0, 1, 30, 1000]))
            drafts = [self.draft() for _ in range(self.dice.randint(1, 4))]
            with transaction.atomic():
                numbers = journal.post(drafts, actor="test", now=self.clock - waited)
            for each, draft in zip(numbers, drafts, strict=True):
                self.posted[each.transaction_id] = draft
            self.batches.append((self.clock - waited, numbers[-1].transaction_id))

    def draft(self) -> TransactionDraft:
        """Money in and from one to another, or a hold raised or lowered, or all of it."""
        giver, taker = self.dice.sample(self.cash, 2)
        only_holds = self.dice.random() < 0.3
        given = 0 if only_holds else self.dice.randint(0, self.free[giver])
        change = self.dice.randint(-self.held[giver], self.free[giver] - given)
        paid_in = 0 if only_holds and change else self.dice.randint(1, 500)
        moves = [(self.external, -paid_in), (taker, paid_in), (giver, -given), (taker, given)]
        self.free[giver] -= given + change
        self.held[giver] += change
        self.free[taker] += paid_in + given
        return TransactionDraft(
            kind="test",
            source="test",
            reference=str(self.dice.getrandbits(64)),
            effective_at=self.clock + timedelta(minutes=self.dice.choice([-600, -60, 0, 0, 60, 600])),
            legs=tuple(Leg(account, amount) for account, amount in moves if amount),
            holds=(HoldChange(giver, change),) if change else (),
        )

    def figures(self, counted: Container[int]) -> dict[int, Figures]:
        """What stands on each account when only some transactions count."""
        found = dict.fromkeys(self.ids.values(), NOTHING)
        for number, draft in self.posted.items():
            if number in counted:
                for leg in draft.legs:
                    was = found[self.ids[leg.account]]
                    found[self.ids[leg.account]] = replace(
                        was, balance=was.balance + leg.amount, entries=was.entries + 1
                    )
                for hold in draft.holds:
                    was = found[self.ids[hold.account]]
                    found[self.ids[hold.account]] = replace(
                        was, held=was.held + hold.delta, hold_entries=was.hold_entries + 1
                    )
        return found

    def last_by(self, instant: datetime) -> int:
        """The last transaction before the first batch of a later time."""
        last = 0
        for posted_at, through in self.batches:
            if posted_at > instant:
                break
            last = through
        return last

    def effective_by(self, instant: datetime) -> set[int]:
        return {number for number, draft in self.posted.items() if draft.effective_at <= instant}

    def instants(self) -> list[datetime]:
        """Every time that something was posted at, and the moments beside it."""
        times = {posted_at for posted_at, _ in self.batches}
        return sorted({time + step for time in times for step in (-MICROSECOND, timedelta(0), MICROSECOND)})


@pytest.fixture
def day(database: DatabaseUrls) -> Day:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    day = Day(random.Random(seed))
    day.post(60)
    return day


def test_the_figures_after_every_transaction_are_those_that_adding_up_gives(day: Day) -> None:
    for through in range(max(day.posted) + 1):
        assert figures_at(Point(through)) == day.figures(range(through + 1)), through


def test_an_instant_stands_for_all_that_was_posted_before_anything_later(day: Day) -> None:
    for instant in day.instants():
        assert last_transaction_by(instant) == day.last_by(instant), instant
    assert last_transaction_by(NOW - timedelta(days=1)) == 0
    assert last_transaction_by(day.clock + timedelta(days=1)) == max(day.posted)


def test_effective_dates_count_as_far_as_they_were_known(day: Day) -> None:
    known = [*day.dice.sample(range(max(day.posted)), 5), max(day.posted)]
    instants = day.dice.sample(sorted({draft.effective_at for draft in day.posted.values()}), 10)
    for through in known:
        for instant in (*instants, instants[0] - MICROSECOND, instants[0] + MICROSECOND):
            expected = day.figures(day.effective_by(instant) & set(range(through + 1)))
            assert figures_at(Point(through, instant)) == expected, (through, instant)
    assert figures_at(Point(max(day.posted), day.clock + timedelta(days=30))) == day.figures(day.posted)


def test_the_newest_point_is_what_the_accounts_say(day: Day) -> None:
    rows = Account.objects.all()
    assert figures_at(Point(max(day.posted))) == {
        row.pk: Figures(row.balance, row.seq, row.held, row.hold_seq) for row in rows
    }


def test_what_is_posted_later_changes_no_figure_of_the_past(day: Day) -> None:
    through, instant = max(day.posted), max(posted_at for posted_at, _ in day.batches) - timedelta(seconds=1)
    points = [Point(through // 2), Point(through), Point(through, instant), find_point(posted_by=instant)]
    before = [figures_at(point) for point in points if point]
    day.clock += timedelta(hours=1)
    day.post(10)
    points[3] = find_point(posted_by=instant)
    assert [figures_at(point) for point in points if point] == before


def test_only_the_accounts_that_are_asked_for_are_looked_at(day: Day) -> None:
    everything = figures_at(Point(max(day.posted) // 2))
    one, other, *_ = everything
    assert figures_at(Point(max(day.posted) // 2), [other, one]) == {key: everything[key] for key in (one, other)}
    assert figures_at(Point(max(day.posted) // 2), [other, 2**40]) == {other: everything[other]}
    assert figures_at(Point(max(day.posted) // 2), []) == {}
    assert figures_at(Point(5, NOW), []) == {}


def test_a_partys_balances_of_the_past_name_their_transaction_and_claim_nothing_about_what_was_free(day: Day) -> None:
    point = Point(max(day.posted) // 2)
    key = day.cash[0]
    (then,) = list_balances(key.party_id, point)
    expected = figures_at(point)[day.ids[key]]
    assert (then.balance, then.held, then.entries, then.hold_entries) == (
        expected.balance,
        expected.held,
        expected.entries,
        expected.hold_entries,
    )
    assert (then.available, then.through) == (None, point.through)
    (now,) = list_balances(key.party_id)
    assert (now.available, now.through) == (day.free[key], None)


def test_a_point_is_named_by_transaction_or_instant_and_may_not_lie_ahead(day: Day) -> None:
    last = max(day.posted)
    assert find_point() is None
    assert find_point(transaction=0) == Point(0)
    assert find_point(effective_at=NOW) == Point(last, NOW)
    assert find_point(posted_by=day.clock + timedelta(days=400)) == Point(last)
    with pytest.raises(NotFound) as refused:
        find_point(transaction=last + 1)
    assert refused.value.fields["last"] == str(last)


def test_a_busy_account_is_searched_and_not_read_through(day: Day) -> None:
    """The control reads every entry that came later; the search looks up a few."""
    many = 4_000
    legs = tuple(Leg(account, amount) for account, amount in [(day.external, -1), (day.cash[0], 1)] * many)
    with transaction.atomic():
        journal.post([TransactionDraft("test", "test", "busy", NOW, legs)], actor="test", now=day.clock)
    account, through = day.ids[day.external], max(day.posted)
    scan = Entry.objects.filter(account_id=account, transaction_id__lte=through).order_by("-account_seq")
    with transaction.atomic():
        before = entries_read()
        found = figures_at(Point(through), [account])[account]
        searched = entries_read()
        last = scan.first()
        scanned = entries_read()
    assert last is not None
    assert (found.entries, found.balance) == (last.account_seq, last.balance_after)
    assert scanned - searched > many
    assert searched - before < 50


def entries_read() -> int:
    """Entries that this connection has read and not yet reported, which it does between transactions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(idx_tup_fetch, 0) + coalesce(seq_tup_read, 0) FROM pg_stat_xact_user_tables"
            " WHERE relname = 'ledger_entry'"
        )
        (count,) = cursor.fetchone()
        return int(count)
