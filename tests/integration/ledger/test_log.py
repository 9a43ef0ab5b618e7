from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.test import override_settings

from ledger import tasks
from ledger.errors import NotFound
from ledger.keys.ring import current_signing_key
from ledger.log import tree
from ledger.log.checkpoints import get_checkpoint, latest_checkpoint, publish_checkpoint
from ledger.log.errors import EvidenceBroken, LogInconsistent, NotInCheckpointYet
from ledger.log.note import checkpoint_text, sign_note
from ledger.log.proofs import prove_consistency, prove_transaction
from ledger.merkle import tree_root
from ledger.models import Batch, Checkpoint, LogNode
from tests.conftest import DatabaseUrls
from tests.integration.ledger.logbook import NOW, Forger, Logbook, check


@pytest.fixture
def book(database: DatabaseUrls) -> Logbook:
    return Logbook()


def hashes() -> list[bytes]:
    return [bytes(found) for found in Batch.objects.order_by("no").values_list("hash", flat=True)]


class TestCheckpoints:
    def test_a_checkpoint_signs_the_root_over_all_batches(self, book: Logbook) -> None:
        book.trade(10)
        checkpoint = book.publish()
        assert checkpoint.size == 11
        assert bytes(checkpoint.root) == tree_root(hashes())
        assert checkpoint.note.splitlines()[:2] == ["tokenbourse.localhost/ledger", "11"]
        assert check(checkpoint.note).ok
        assert latest_checkpoint() == get_checkpoint(11) == checkpoint

    def test_an_empty_ledger_has_no_checkpoint(self, database: DatabaseUrls) -> None:
        assert publish_checkpoint(now=NOW) is None
        assert latest_checkpoint() is None
        with pytest.raises(NotFound):
            get_checkpoint(1)

    def test_nothing_new_signs_nothing_and_asks_little(self, book: Logbook) -> None:
        first = book.publish()
        with connection.execute_wrapper(count := Count()):
            assert publish_checkpoint(now=NOW + timedelta(hours=1)) == first
        assert count.statements == 3
        assert Checkpoint.objects.count() == 1

    def test_the_tree_is_the_same_in_however_many_steps_it_grew(
        self, book: Logbook, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tree, "CHUNK_BATCHES", 5)
        source = random.Random(7)
        for _ in range(9):
            book.trade(source.randint(1, 9))
            checkpoint = book.publish()
            assert bytes(checkpoint.root) == tree_root(hashes())
        all_hashes = hashes()
        for level, position, node in LogNode.objects.values_list("level", "position", "hash"):
            assert bytes(node) == tree_root(all_hashes[position << level : (position + 1) << level])
        assert LogNode.objects.count() == sum(len(all_hashes) >> level for level in range(1, 20))

    def test_progress_is_told_on_the_way(self, book: Logbook, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tree, "CHUNK_BATCHES", 4)
        book.trade(9)
        told: list[tuple[int, int]] = []
        publish_checkpoint(now=NOW, progress=lambda done, total: told.append((done, total)))
        assert told == [(4, 10), (8, 10), (10, 10)]

    def test_the_task_and_the_command_publish(self, book: Logbook, capsys: pytest.CaptureFixture[str]) -> None:
        tasks.publish_checkpoint()
        assert latest_checkpoint() == get_checkpoint(1)
        book.trade(1)
        call_command("publish_checkpoint")
        assert capsys.readouterr().out == get_checkpoint(2).note

    def test_published_checkpoints_and_nodes_cannot_be_changed(self, book: Logbook) -> None:
        book.trade(3)
        book.publish()
        for table, column in (("ledger_checkpoint", "note"), ("ledger_lognode", "hash")):
            changes = (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}", f"TRUNCATE {table}")
            for statement in changes:
                with pytest.raises((ProgrammingError, IntegrityError)), transaction.atomic():
                    connection.cursor().execute(statement)


class Count:
    """Counts statements."""

    def __init__(self) -> None:
        self.statements = 0

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self.statements += 1
        return execute(*arguments)


class TestProofs:
    def test_a_party_is_shown_its_own_items_and_nothing_of_the_others(self, book: Logbook) -> None:
        book.trade(1)
        (number,) = book.post(book.pay(70))
        book.publish()
        ada, bob, house = book.account(book.ada), book.account(book.bob), book.house
        document = prove_transaction(number, party_id=book.bob)
        assert check(document).ok, check(document).text()
        assert [(item["index"], item["decoded"]["account"]) for item in document["items"]] == [(1, bob), (2, bob)]
        assert [item["decoded"]["ref"] for item in document["items"]] == ["got", "bond"]
        assert "paid" not in check(document).text()
        assert f'"account": {ada}' not in str(document)
        everything = prove_transaction(number, party_id=None)
        assert check(everything).ok
        assert [item["decoded"]["account"] for item in everything["items"]] == [ada, bob, bob]
        for stranger in (book.eve, house):
            with pytest.raises(NotFound) as refused:
                prove_transaction(number, party_id=stranger)
            with pytest.raises(NotFound) as missing:
                prove_transaction(number + 1, party_id=stranger)
            assert refused.value.message.replace(str(number), "N") == missing.value.message.replace(
                str(number + 1), "N"
            )

    def test_every_transaction_is_proved_under_every_checkpoint_that_covers_it(self, book: Logbook) -> None:
        sizes = []
        for batches in (2, 3, 1, 6):
            book.trade(batches)
            sizes.append(book.publish().size)
        for number, batch_no in enumerate_transactions():
            for size in sizes:
                if size >= batch_no:
                    document = prove_transaction(number, party_id=None, checkpoint_size=size)
                    assert check(document).ok, check(document).text()
                else:
                    with pytest.raises(NotInCheckpointYet):
                        prove_transaction(number, party_id=None, checkpoint_size=size)
        with pytest.raises(NotFound):
            prove_transaction(1, party_id=None, checkpoint_size=sizes[0] + 1)

    def test_what_is_not_published_yet_says_so(self, book: Logbook) -> None:
        with pytest.raises(NotInCheckpointYet):
            prove_transaction(1, party_id=None)
        book.publish()
        (number,) = book.post(book.deposit(book.ada, 5))
        with pytest.raises(NotInCheckpointYet) as refused:
            prove_transaction(number, party_id=book.ada)
        assert refused.value.fields == {"batch": "2"}

    def test_checkpoints_prove_to_be_of_one_history(self, book: Logbook) -> None:
        sizes = []
        for batches in (1, 2, 3, 4, 5):
            book.trade(batches)
            sizes.append(book.publish().size)
        for first in sizes:
            for second in sizes:
                if first > second:
                    with pytest.raises(NotFound):
                        prove_consistency(first, second)
                    continue
                document = prove_consistency(first, second)
                assert check(document, trusted=get_checkpoint(first).note).ok
        with pytest.raises(NotFound):
            prove_consistency(1, sizes[-1])


def enumerate_transactions() -> list[tuple[int, int]]:
    """(transaction, batch) of all there are."""
    return [
        (number, batch.no)
        for batch in Batch.objects.order_by("no")
        for number in range(batch.first_transaction, batch.last_transaction + 1)
    ]


class TestARewrittenHistory:
    """The database's owner, with the triggers off, against a checkpoint that somebody kept."""

    def test_it_is_found_by_the_consistency_proof_from_a_kept_checkpoint_however_well_it_is_made(
        self, book: Logbook, database: DatabaseUrls
    ) -> None:
        book.trade(6)
        kept = book.publish()
        honest = prove_transaction(3, party_id=book.ada)
        with Forger(database) as forger:
            batch_no = forger.rewrite_ref(3, "never happened")
            forger.chain_again(batch_no)
            forger.grow_tree_again()
        with pytest.raises(LogInconsistent):
            publish_after(book)
        # Whoever has the signing key as well can sign the new history, and prove whatever it holds …
        root = tree_root(hashes()[: kept.size])
        note = sign_with_ring(kept.size, root)
        with Forger(database) as forger:
            forger.execute("UPDATE ledger_checkpoint SET root = %s, note = %s WHERE size = %s", root, note, kept.size)
        newest = book.publish()
        assert newest.size == kept.size + 1
        forged = prove_transaction(3, party_id=book.ada)
        assert check(forged).ok
        assert forged["items"][0]["decoded"]["ref"] == "never happened"
        # … but not to anybody who kept a checkpoint of the old one.
        proof = prove_consistency(kept.size, newest.size)
        assert check(proof).ok
        assert "REWRITTEN" in check(proof, trusted=kept.note).text()
        assert "rewritten" in check(proof | {"first": kept.note}, trusted=kept.note).text()
        assert "REWRITTEN" in check(get_checkpoint(kept.size).note, trusted=kept.note).text()
        assert check(honest, trusted=kept.note).ok

    def test_nothing_is_signed_after_any_part_of_it(self, book: Logbook, database: DatabaseUrls) -> None:
        book.trade(8)
        kept = book.publish()
        assert kept.size % 2, "the newest batch stands in no stored subtree"
        with Forger(database) as forger:
            forger.chain_again(forger.rewrite_ref(3, "never happened"))  # the tree still says what was
        with pytest.raises(LogInconsistent) as refused:
            publish_after(book)
        assert refused.value.fields == {"signed": "9"}
        with Forger(database) as forger:
            forger.grow_tree_again()
        with pytest.raises(LogInconsistent):
            publish_checkpoint(now=NOW)
        assert latest_checkpoint() == kept

    def test_nothing_is_signed_when_the_newest_batch_stands_in_a_stored_subtree(
        self, book: Logbook, database: DatabaseUrls
    ) -> None:
        book.trade(7)
        assert book.publish().size == 8
        with Forger(database) as forger:
            forger.chain_again(forger.rewrite_ref(3, "never happened"))
        with pytest.raises(LogInconsistent) as refused:
            publish_after(book)
        assert "history was rewritten" in refused.value.message

    @pytest.mark.parametrize(
        ("statement", "said"),
        [
            ("UPDATE ledger_batch SET previous = sha256('x') WHERE no = 6", "Batch 6 does not follow"),
            ("UPDATE ledger_batch SET hash = sha256('x') WHERE no = 6", "Batch 6 does not follow"),
            ("UPDATE ledger_batch SET root = sha256('x') WHERE no = 6", "Batch 6 does not follow"),
            ("UPDATE ledger_batch SET last_transaction = 99, count = 100 - first_transaction WHERE no = 6", "Batch 6"),
            ("DELETE FROM ledger_batch WHERE no = 6", "Batch 6 does not follow"),
            ("DELETE FROM ledger_batch WHERE no > 3", "there are 3"),
            ("DELETE FROM ledger_lognode WHERE level = 2", "no node 0 of level 2"),
            ("UPDATE ledger_lognode SET hash = sha256('x') WHERE level = 2", "history was rewritten"),
            ("INSERT INTO ledger_lognode VALUES (3, 0, sha256('x'))", "not in it yet"),
            ("UPDATE ledger_checkpoint SET root = sha256('x')", "not one that this ledger signed"),
            ("UPDATE ledger_checkpoint SET note = replace(note, 'A', 'B')", "not one that this ledger signed"),
        ],
    )
    def test_nothing_is_signed_over_broken_rows(
        self, book: Logbook, database: DatabaseUrls, statement: str, said: str
    ) -> None:
        book.trade(3)
        kept = book.publish()
        book.trade(4)
        with Forger(database) as forger:
            forger.execute(statement)
        with pytest.raises(LogInconsistent) as refused:
            publish_checkpoint(now=NOW)
        assert said in refused.value.message
        with pytest.raises(CommandError):
            call_command("publish_checkpoint")
        assert Checkpoint.objects.count() == 1
        assert Checkpoint.objects.get().size == kept.size

    def test_an_origin_that_changed_is_refused(self, book: Logbook) -> None:
        book.publish()
        with (
            override_settings(LEDGER_ORIGIN="other.example/ledger"),
            pytest.raises(LogInconsistent, match="change it back"),
        ):
            publish_after(book)

    def test_proofs_of_rows_that_were_edited_are_not_made(self, book: Logbook, database: DatabaseUrls) -> None:
        book.trade(3)
        book.publish()
        with Forger(database) as forger:
            forger.execute("UPDATE ledger_entry SET ref = 'edited' WHERE transaction_id = 3 AND leg = 1")
            with pytest.raises(EvidenceBroken, match="transaction 3"):
                prove_transaction(3, party_id=None)
            assert check(prove_transaction(4, party_id=None)).ok
            forger.rewrite_ref(3, "edited")
            with pytest.raises(EvidenceBroken, match="batch 3"):
                prove_transaction(4, party_id=None)
            forger.execute("UPDATE ledger_transaction SET leaf = sha256('x') WHERE id = 4")
            with pytest.raises(EvidenceBroken):
                prove_transaction(3, party_id=None)


def publish_after(book: Logbook) -> None:
    """One more honest batch, and publish."""
    book.post(book.deposit(book.ada, 1))
    publish_checkpoint(now=NOW)


def sign_with_ring(size: int, root: bytes) -> str:
    origin = "tokenbourse.localhost/ledger"
    return sign_note(checkpoint_text(origin, size, root), origin, current_signing_key()[1])
