from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, ProgrammingError, connection, transaction

from ledger import tasks
from ledger.drafts import HoldChange
from ledger.errors import NotFound
from ledger.log import seals
from ledger.log.errors import EvidenceBroken, InvalidSealPeriod, NotInCheckpointYet, PeriodNotOver
from ledger.log.periods import Period, parse_period, periods_between
from ledger.log.proofs import prove_sealed_balance
from ledger.log.seals import SealedBalance, iter_balances, seal_ended_periods, seal_period, seal_reference, seal_root
from ledger.merkle import leaf_hash, tree_root
from ledger.models import Account, Entry, HoldEntry, PeriodSeal, Transaction
from tests.conftest import DatabaseUrls
from tests.integration.ledger.logbook import NOW, Forger, Logbook, check

MIDNIGHT = datetime(2026, 12, 2, tzinfo=UTC)
AFTER = MIDNIGHT + timedelta(minutes=10)


@pytest.fixture
def book(database: DatabaseUrls) -> Logbook:
    return Logbook()


def seal(period: str = "2026-12-01", ends_at: datetime = MIDNIGHT, now: datetime = AFTER) -> PeriodSeal:
    return seal_period(period, ends_at, actor="test", now=now)


def balances_added_up(through: int) -> list[SealedBalance]:
    """Every account's figures, added up entry by entry."""
    found = []
    for account in Account.objects.order_by("id"):
        amounts = list(
            Entry.objects.filter(account_id=account.id, transaction_id__lte=through).values_list("amount", flat=True)
        )
        deltas = list(
            HoldEntry.objects.filter(account_id=account.id, transaction_id__lte=through).values_list("delta", flat=True)
        )
        if amounts or deltas:
            found.append(
                SealedBalance(account.id, account.asset_id, len(amounts), sum(amounts), len(deltas), sum(deltas))
            )
    return found


def test_a_seal_holds_every_balance_as_of_the_last_transaction_of_the_period(book: Logbook) -> None:
    book.trade(5)
    (last,) = book.post(book.deposit(book.eve, 10), now=MIDNIGHT - timedelta(microseconds=1))
    book.post(book.pay(300), now=MIDNIGHT)
    sealed = seal()
    expected = balances_added_up(last)
    assert (sealed.through_transaction, sealed.accounts) == (last, len(expected)) == (last, 4)
    assert bytes(sealed.root) == tree_root([leaf_hash(balance.leaf()) for balance in expected])
    posted = Transaction.objects.get(id=sealed.transaction_id)
    assert (posted.kind, posted.source, posted.legs) == ("period_seal", "seal", 0)
    assert posted.reference == seal_reference("2026-12-01", bytes(sealed.root))
    assert (posted.effective_at, posted.actor) == (MIDNIGHT, "test")


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_balances_of_any_past_point_are_the_sums_of_their_entries(
    book: Logbook, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(seals, "CHUNK_ACCOUNTS", chunk)
    book.trade(9)
    for through in (0, 1, 2, 5, 9, Transaction.objects.count()):
        expected = balances_added_up(through)
        assert list(iter_balances(through)) == expected
        assert seal_root(through) == (tree_root([leaf_hash(each.leaf()) for each in expected]), len(expected))


def test_sealing_twice_returns_the_first_seal_and_posts_nothing(book: Logbook) -> None:
    book.trade(2)
    first = seal()
    count = Transaction.objects.count()
    book.post(book.deposit(book.ada, 5), now=MIDNIGHT - timedelta(hours=1))
    assert seal(now=AFTER + timedelta(days=1)) == first
    assert Transaction.objects.count() == count + 1


def test_a_period_is_not_sealed_before_its_end(book: Logbook) -> None:
    with pytest.raises(PeriodNotOver):
        seal(now=MIDNIGHT - timedelta(microseconds=1))
    assert seal(now=MIDNIGHT).accounts == 0


def test_a_posting_that_comes_while_the_seal_is_computed_is_in_it(
    book: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.trade(2)
    compute, late = seals.seal_root, [book.deposit(book.eve, 7)]

    def compute_slowly(through: int) -> tuple[bytes, int]:
        computed = compute(through)
        while late:
            book.post(late.pop(), now=MIDNIGHT - timedelta(seconds=1))
        return computed

    monkeypatch.setattr(seals, "seal_root", compute_slowly)
    sealed = seal()
    assert sealed.accounts == 4
    assert sealed.through_transaction == Transaction.objects.get(kind="test", id=5).id


def test_of_two_who_seal_at_once_the_second_gets_the_seal_of_the_first(
    book: Logbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.trade(2)
    compute = seals.seal_root
    others: list[PeriodSeal] = []

    def overtaken(through: int) -> tuple[bytes, int]:
        monkeypatch.setattr(seals, "seal_root", compute)
        others.append(seal())
        return compute(through)

    monkeypatch.setattr(seals, "seal_root", overtaken)
    assert seal() == others[0]
    assert Transaction.objects.filter(kind="period_seal").count() == 1


def test_a_seal_cannot_be_changed(book: Logbook) -> None:
    seal()
    for statement in ("DELETE FROM ledger_periodseal", "UPDATE ledger_periodseal SET accounts = 9"):
        with pytest.raises((ProgrammingError, IntegrityError)), transaction.atomic():
            connection.cursor().execute(statement)


class TestSealedBalances:
    def test_every_account_proves_its_closing_balance_and_sequence(self, book: Logbook) -> None:
        book.trade(7)
        book.post(book.draft(holds=(HoldChange(book.cash(book.ada), 30, "order 1"),)))
        sealed = seal()
        book.post(book.pay(5), now=AFTER)
        book.publish()
        for expected in balances_added_up(sealed.through_transaction):
            document = prove_sealed_balance("2026-12-01", expected.account_id)
            report = check(document)
            assert report.ok, report.text()
            assert document["balance"]["decoded"] == expected.evidence().decoded
        ada = prove_sealed_balance("2026-12-01", book.account(book.ada))["balance"]["decoded"]
        entries = Entry.objects.filter(account_id=ada["account"]).order_by("-account_seq")
        # One more entry came after the period; the sealed sequence is the last within it.
        assert ada["seq"] == entries[0].account_seq - 1
        assert (ada["balance"], ada["held"]) == (str(entries[1].balance_after), "30")
        assert f"seq {ada['seq']}" in check(prove_sealed_balance("2026-12-01", ada["account"])).text()

    def test_trees_of_every_shape_prove_every_account(self, book: Logbook) -> None:
        for party in (book.ada, book.bob, book.eve):
            book.post(book.deposit(party, 100))
            name = f"after party {party}"
            sealed = seal(name, AFTER - timedelta(minutes=1))
            book.publish()
            for balance in iter_balances(sealed.through_transaction):
                assert check(prove_sealed_balance(name, balance.account_id)).ok

    def test_what_is_not_there_is_not_found(self, book: Logbook) -> None:
        book.trade(1)
        seal()
        with pytest.raises(NotInCheckpointYet):
            prove_sealed_balance("2026-12-01", book.account(book.ada))
        book.post(book.deposit(book.eve, 1), now=AFTER)
        book.publish()
        for period, account in (("2026-12-01", book.account(book.eve)), ("2026-12-01", 999), ("2026-12-02", 1)):
            with pytest.raises(NotFound):
                prove_sealed_balance(period, account)

    def test_a_balance_that_was_edited_later_gives_no_proof(self, book: Logbook, database: DatabaseUrls) -> None:
        book.trade(3)
        seal()
        book.publish()
        ada, bob = book.account(book.ada), book.account(book.bob)
        with Forger(database) as forger:
            forger.execute("UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE account_id = %s", bob)
        with pytest.raises(EvidenceBroken):
            prove_sealed_balance("2026-12-01", ada)

    def test_a_claim_of_another_balance_or_period_fails(self, book: Logbook) -> None:
        book.trade(4)
        seal()
        seal("2026-12-01 again")
        book.publish()
        ada, bob = book.account(book.ada), book.account(book.bob)
        good = prove_sealed_balance("2026-12-01", ada)
        assert check(good).ok
        other = prove_sealed_balance("2026-12-01", bob)
        for changed in (
            good | {"period": "2026-12-01 again"},
            good | {"seal": prove_sealed_balance("2026-12-01 again", ada)["seal"]},
            good | {"balance": good["balance"] | {"path": other["balance"]["path"]}},
        ):
            assert not check(changed).ok


class TestPeriods:
    @pytest.mark.parametrize(
        ("name", "ends_at"),
        [
            ("2026-12-01", datetime(2026, 12, 2, tzinfo=UTC)),
            ("2026-12-31", datetime(2027, 1, 1, tzinfo=UTC)),
            ("2026-11", datetime(2026, 12, 1, tzinfo=UTC)),
            ("2026-12", datetime(2027, 1, 1, tzinfo=UTC)),
        ],
    )
    def test_days_and_months_end_where_the_next_begins(self, name: str, ends_at: datetime) -> None:
        assert parse_period(name) == Period(name, ends_at)

    @pytest.mark.parametrize(
        "name", ["", "2026", "2026-13", "2026-02-30", "2026-1", "2026-W01", "9999-12-31", "٢٠٢٦-12"]
    )
    def test_other_names_are_refused(self, name: str) -> None:
        with pytest.raises(InvalidSealPeriod):
            parse_period(name)

    def test_days_and_months_that_ended_come_in_order(self) -> None:
        first = datetime(2026, 11, 29, 23, 59, tzinfo=UTC)
        ended = [period.name for period in periods_between(first, datetime(2026, 12, 3, tzinfo=UTC))]
        assert ended == ["2026-11-29", "2026-11-30", "2026-11", "2026-12-01", "2026-12-02"]
        assert list(periods_between(first, first)) == []

    def test_every_name_of_every_length_parses_back_to_itself(self) -> None:
        first = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=random.Random(3).randint(0, 999))
        for period in periods_between(first, first + timedelta(days=800)):
            assert parse_period(period.name) == period


class TestTheSweepAndTheCommand:
    def test_the_sweep_seals_what_ended_once_and_waits_for_late_postings(self, book: Logbook) -> None:
        book.trade(3)
        assert seal_ended_periods(actor="test", now=MIDNIGHT + timedelta(minutes=4)) == []
        assert [each.period for each in seal_ended_periods(actor="test", now=AFTER)] == ["2026-12-01"]
        assert seal_ended_periods(actor="test", now=AFTER) == []
        later = datetime(2027, 1, 1, 1, tzinfo=UTC)
        names = [each.period for each in seal_ended_periods(actor="test", now=later)]
        assert names == [f"2026-12-{day:02}" for day in range(2, 32)] + ["2026-12"]

    def test_an_empty_ledger_has_nothing_to_seal(self, database: DatabaseUrls) -> None:
        assert seal_ended_periods(actor="test", now=AFTER) == []
        tasks.seal_periods()
        assert not PeriodSeal.objects.exists()

    def test_the_command_seals_and_says_what_is_wrong(
        self, book: Logbook, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Clock:
            def now(self) -> datetime:
                return AFTER

        monkeypatch.setattr("ledger.management.commands.seal_period.get_clock", Clock)
        book.trade(1)
        call_command("seal_period", "2026-12-01", "--actor", "olga")
        assert "2 accounts through transaction 2" in capsys.readouterr().out
        assert Transaction.objects.get(kind="period_seal").actor == "olga"
        with pytest.raises(CommandError, match="sealed after that"):
            call_command("seal_period", "2026-12")
        with pytest.raises(CommandError, match="is not a day"):
            call_command("seal_period", "december")


def test_seals_of_a_random_history_agree_with_adding_up(book: Logbook) -> None:
    source = random.Random(20261201)
    day = NOW
    for _ in range(6):
        for _ in range(source.randint(0, 4)):
            book.trade(source.randint(1, 3), now=day)
        end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        sealed = seal(f"{day:%Y-%m-%d}", end, end + timedelta(minutes=6))
        expected = balances_added_up(sealed.through_transaction)
        assert bytes(sealed.root) == tree_root([leaf_hash(balance.leaf()) for balance in expected])
        day += timedelta(days=1)
