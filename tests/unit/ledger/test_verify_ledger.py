from __future__ import annotations

import ast
import copy
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.environment import CHECKOUT
from ledger import merkle, verify
from ledger.log.note import verifier_key
from ledger.log.seals import SealedBalance
from ledger.verify import Fault, Key, Report, parse_jwks, parse_vkey
from tests.unit.ledger.sample_log import KEY, ORIGIN, OTHER_KEY, Document, SampleLog, compact, jwk_of, jwks, sample_log

LOG = sample_log()
KEYS = parse_jwks(jwks())
BALANCES = [SealedBalance(account, 1, account + 2, -70 * account, account // 2, 3) for account in range(1, 8)]


def sealed_proof(index: int = 4) -> Document:
    return sample_log().sealed_balance_proof(BALANCES, index)


def documents() -> dict[str, Document]:
    return {
        "transaction": LOG.transaction_proof(8, shown=(0, 2)),
        "first transaction": LOG.transaction_proof(1, shown=(1,), size=1),
        "consistency": LOG.consistency_proof(3, 7),
        "sealed balance": sealed_proof(),
    }


def check(document: Document | bytes, keys: list[Key] = KEYS, trusted: str | None = None) -> Report:
    data = document if isinstance(document, bytes) else compact(document)
    return verify.verify(data, keys, None if trusted is None else trusted.encode())


def failure(report: Report) -> str:
    assert not report.ok
    assert report.text().endswith("NOT VERIFIED")
    return report.checks[-1].detail


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The path to every value inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (key,)
        yield from ((key, *path) for path in places(inner))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = by
    return changed


@pytest.mark.parametrize("name", documents())
def test_good_evidence_verifies(name: str) -> None:
    report = check(documents()[name])
    assert report.ok, report.text()
    assert report.text().endswith("VERIFIED")


def test_every_transaction_and_item_of_the_log_verifies_under_every_later_checkpoint() -> None:
    for number, posted in enumerate(LOG.transactions, start=1):
        for size in range(posted.batch + 1, len(LOG.records) + 1):
            assert check(LOG.transaction_proof(number, (0, 1, 2), size)).ok


def test_every_sealed_balance_verifies_in_trees_of_all_shapes() -> None:
    for accounts in range(1, 8):
        for index in range(accounts):
            document = sample_log().sealed_balance_proof(BALANCES[:accounts], index)
            assert check(document).ok
            assert document["balance"]["decoded"]["account"] == index + 1


def test_the_report_tells_what_the_evidence_says() -> None:
    text = check(LOG.transaction_proof(8, shown=(0, 2))).text()
    for said in ("'transfer/4-0'", "'user:olga'", "amount '-50000'", "held_after '20'", "size 7", "2 shown, of 2 legs"):
        assert said in text
    assert "seq 7" in check(sealed_proof()).text()


@pytest.mark.parametrize("name", ["transaction", "consistency", "sealed balance"])
def test_every_bit_flip_of_a_document_fails(name: str) -> None:
    good = compact(documents()[name])
    assert check(good).ok
    for place in range(len(good)):
        for bit in range(8):
            changed = bytearray(good)
            changed[place] ^= 1 << bit
            report = check(bytes(changed))
            assert not report.ok, bytes(changed[max(0, place - 40) : place + 40])


def test_every_bit_flip_of_a_checkpoint_fails() -> None:
    good = LOG.note().encode()
    assert check(good).ok
    for place in range(len(good)):
        for bit in range(8):
            changed = bytearray(good)
            changed[place] ^= 1 << bit
            assert not check(bytes(changed)).ok


@pytest.mark.parametrize("by", [0, -1, 2**70, True, None, "", "AAAA", "\x1b[2J", [], {}, [[]], [{}]])
def test_any_part_of_another_kind_is_refused(by: Any) -> None:
    for document in documents().values():
        for path in places(document):
            changed = replaced(document, path, by)
            if compact(changed) != compact(document) and changed.get("items") != []:  # showing fewer items is honest
                assert failure(check(changed))


def test_any_part_that_is_missing_or_too_much_is_refused() -> None:
    for document in documents().values():
        for path in places(document):
            changed = copy.deepcopy(document)
            inner = changed
            for key in path[:-1]:
                inner = inner[key]
            removed = inner.pop(path[-1])
            assert path[:-1] == ("items",) or failure(check(changed))  # showing fewer items is honest
            if isinstance(inner, list):
                inner[path[-1] : path[-1]] = [removed, removed]
            else:
                inner |= {path[-1]: removed, "more": removed}
            assert failure(check(changed))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "three lines"),
        (b"null", "three lines"),
        (b"[]", "not an object"),
        (b"{}", "type is missing"),
        (b'{"type":"tokenbourse-transaction-proof/2"}', "not a kind of proof"),
        (b'{"type":1,"type":1}', "repeats a member name"),
        (b'{"type":1e999}', "not a whole number"),
        (b'{"type":NaN}', "not a whole number"),
        (b'{"type":' + b"9" * 10_000 + b"}", "not JSON"),
        (b'{"type":"\\ud800"}', "half a character"),
        (b'{"type":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
        (b'{"type"', "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{" + b" " * (8 * 1024 * 1024), "larger than 8 MB"),
        (b"log\n1\nAAAA\n\n" + "— log AAAA\n".encode() * 17, "1 to 16"),
        (b"log\n01\nAAAA\n\n" + "— log AAAA\n".encode(), "malformed"),
        (b"log\n1\nAAAA\n\n" + "— log AAAA\n".encode(), "32 bytes"),
        (b"log\n1\nAAAA\n\n- log AAAA\n", "a dash"),
    ],
)
def test_hostile_files_get_a_clear_answer(data: bytes, fault: str) -> None:
    assert fault in failure(check(data))
    assert failure(check(LOG.note().encode(), trusted=data.decode("latin-1")))
    with pytest.raises(Fault):
        parse_jwks(data)


def test_every_truncation_of_bytes_inside_a_document_is_refused() -> None:
    document = LOG.transaction_proof(1, shown=(0,))
    for path in (("transaction", "leaf"), ("items", 0, "item"), ("batch", "record")):
        data = document[path[0]][path[1]] if len(path) == 2 else document["items"][0]["item"]
        for length in range(0, len(data), 4):
            assert failure(check(replaced(document, path, data[:length])))


def test_items_of_another_transaction_or_shown_twice_or_out_of_order_are_refused() -> None:
    document, other = LOG.transaction_proof(8, shown=(0, 1, 2)), LOG.transaction_proof(9, shown=(0, 1, 2))
    assert check(document).ok
    first, second, third = document["items"]
    for items in ([first, first], [second, first], other["items"][:1], [third, third]):
        assert failure(check(document | {"items": items}))


def test_parts_of_different_honest_proofs_do_not_mix() -> None:
    one, two = LOG.transaction_proof(2), LOG.transaction_proof(4)
    for part in ("transaction", "batch"):
        assert failure(check(one | {part: two[part]}))
    assert failure(check(one | {"checkpoint": LOG.note(6)}))
    assert failure(check(sealed_proof(4) | {"balance": sealed_proof(3)["balance"] | {"path": []}}))
    assert failure(check(sealed_proof() | {"period": "2026-12-02"}))


def test_a_seal_that_was_not_taken_at_the_end_of_its_period_is_refused() -> None:
    assert check(sample_log().sealed_balance_proof(BALANCES, 0, "quarter of its own name")).ok
    for period, fault in (("2026-12", "end of its period"), ("2026-13", "no period"), ("2026-12-32", "no period")):
        assert fault in failure(check(sample_log().sealed_balance_proof(BALANCES, 0, period)))


class TestKeys:
    def test_one_key_in_the_form_of_signed_notes_is_enough(self) -> None:
        key = parse_vkey(verifier_key(ORIGIN, KEY.public_key().public_bytes_raw()))
        assert check(LOG.transaction_proof(1), [key]).ok
        assert "not signed by a key that you gave" in failure(
            check(LOG.note().encode(), [parse_vkey(verifier_key(ORIGIN, OTHER_KEY.public_key().public_bytes_raw()))])
        )

    @pytest.mark.parametrize("text", ["", "a", "a+b", "a+00000000+AAAA", "+00000000+", "a b\ud800+00000000+AAAA"])
    def test_a_malformed_key_gets_a_clear_answer(self, text: str) -> None:
        with pytest.raises(Fault):
            parse_vkey(text)

    @pytest.mark.parametrize(
        ("members", "fault"),
        [
            ({"status": "revoked"}, "was revoked"),
            ({"status": "next"}, "not come into use"),
            ({"status": "retired", "log_until": 7}, "below 7"),
            ({"log_since": 8}, "size 8 and up"),
        ],
    )
    def test_a_key_signs_only_while_it_is_the_current_one(self, members: Document, fault: str) -> None:
        assert fault in failure(check(LOG.note().encode(), parse_jwks(jwks(jwk_of(KEY, **members)))))

    def test_a_retired_key_is_good_for_what_it_signed_in_its_time(self) -> None:
        keys = parse_jwks(jwks(jwk_of(OTHER_KEY, log_since=8), jwk_of(KEY, status="retired", log_since=1, log_until=8)))
        assert check(LOG.note().encode(), keys).ok

    @pytest.mark.parametrize(
        "keys", [[], [{}], [{"crv": "Ed25519"}], [jwk_of(KEY), jwk_of(KEY)], [jwk_of(KEY, x=jwk_of(OTHER_KEY)["x"])]]
    )
    def test_a_key_set_without_a_usable_or_with_a_doubtful_key_is_refused(self, keys: list[Document]) -> None:
        with pytest.raises(Fault):
            parse_jwks(json.dumps({"keys": keys}).encode())

    @pytest.mark.parametrize(
        ("members", "fault"),
        [
            ({"status": "active"}, "status 'active', which this verifier does not know"),
            ({"status": "Revoked"}, "does not know"),
            ({"status": ""}, "does not know"),
            ({"status": "retired"}, "log_until does not say"),
            *(
                ({"status": status, "log_until": 9, "revoked": {"revoked_at": 0}}, f"revoked, but the status {status}")
                for status in ("next", "current", "retired")
            ),
            ({"status": "current", "revoked": None}, "revoked, but the status current"),
        ],
    )
    def test_a_key_whose_state_is_in_doubt_spoils_the_key_set(self, members: Document, fault: str) -> None:
        with pytest.raises(Fault, match=fault):
            parse_jwks(jwks(jwk_of(OTHER_KEY), jwk_of(KEY, **members)))
        without = jwk_of(KEY)
        del without["status"]
        with pytest.raises(Fault, match="status is missing"):
            parse_jwks(jwks(jwk_of(OTHER_KEY), without))

    @pytest.mark.parametrize("by", [0, True, "", [], {}, "a+b+c"])
    def test_any_part_of_a_key_set_of_another_kind_is_refused_or_harmless(self, by: Any) -> None:
        published = json.loads(jwks(jwk_of(KEY, log_since=1, log_until=9)))
        for path in places(published):
            try:
                keys = parse_jwks(json.dumps(replaced(published, path, by)).encode())
            except Fault:
                continue
            assert check(LOG.note().encode(), keys).text()

    def test_a_key_of_another_log_is_refused(self) -> None:
        key = Key("other.example/log", KEY.public_key().public_bytes_raw())
        assert failure(check(LOG.note().encode(), [key]))
        renamed = LOG.note().replace(f"\n\n— {ORIGIN}", "\n\n— other.example/log")
        assert failure(check(renamed.encode(), [key]))


class TestAgainstAKeptCheckpoint:
    def test_the_same_checkpoint_agrees_and_one_of_another_size_asks_for_consistency(self) -> None:
        assert check(LOG.transaction_proof(1), trusted=LOG.note()).ok
        assert check(LOG.consistency_proof(3, 7), trusted=LOG.note(3)).ok
        assert check(LOG.consistency_proof(3, 7), trusted=LOG.note(7)).ok
        assert "ask for the consistency proof" in failure(check(LOG.transaction_proof(1), trusted=LOG.note(3)))
        assert "ask for the consistency proof" in failure(check(LOG.consistency_proof(3, 7), trusted=LOG.note(4)))

    def test_a_history_rewritten_and_signed_anew_is_found(self) -> None:
        other = SampleLog()
        for number in range(7):
            other.post(("deposit", "treasury", f"rewritten/{number}"))
        assert check(other.consistency_proof(3, 7)).ok
        assert "REWRITTEN" in failure(check(other.consistency_proof(3, 7), trusted=LOG.note(3)))
        mixed = other.consistency_proof(3, 7) | {"first": LOG.note(3)}
        assert "rewritten" in failure(check(mixed, trusted=LOG.note(3)))

    def test_a_kept_checkpoint_needs_no_key_that_is_still_trusted(self) -> None:
        new = LOG.consistency_proof(3, 7)
        old_key = SampleLog(OTHER_KEY, LOG.records, LOG.batches, LOG.transactions)
        document = new | {"first": old_key.note(3)}
        keys = parse_jwks(jwks(jwk_of(OTHER_KEY, status="revoked"), jwk_of(KEY)))
        assert "was revoked" in failure(check(document, keys))
        assert check(document, keys, trusted=old_key.note(3)).ok


def test_both_implementations_of_the_trees_agree() -> None:
    source = random.Random(20261201)
    for _ in range(400):
        leaves = [source.randbytes(32) for _ in range(source.randint(1, 200))]
        size, first, index = len(leaves), source.randint(1, len(leaves)), source.randrange(len(leaves))
        root = merkle.tree_root(leaves)

        def read(level: int, position: int, leaves: list[bytes] = leaves) -> bytes:
            return merkle.tree_root(leaves[position << level : (position + 1) << level])

        path, changes = merkle.inclusion_proof(leaves, index), merkle.consistency_path(first, size, read)
        assert verify.root_from_path(leaves[index], index, size, path) == root
        assert verify.consistent(first, size, merkle.tree_root(leaves[:first]), root, changes)
        for wrong in (path[1:], [*path, root], [source.randbytes(32) for _ in path], changes):
            agreed = merkle.verify_inclusion(leaves[index], index, size, wrong, root)
            assert agreed == (path_root(leaves[index], index, size, wrong) == root)
        for wrong in (changes[1:], [*changes, root], [source.randbytes(32) for _ in changes], path):
            roots = (merkle.tree_root(leaves[:first]), root)
            assert merkle.verify_consistency(first, size, *roots, wrong) == verify.consistent(
                first, size, *roots, wrong
            )


def path_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    try:
        return verify.root_from_path(leaf, index, size, path)
    except Fault:
        return None


class TestTheFileAlone:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        shutil.copy(CHECKOUT / "ledger" / "verify.py", tmp_path / "verify.py")
        (tmp_path / "keys.json").write_bytes(jwks())
        (tmp_path / "proof.json").write_bytes(compact(LOG.transaction_proof(8, shown=(0,))))
        (tmp_path / "kept.txt").write_text(LOG.note(), encoding="utf-8")
        return tmp_path

    def run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "verify.py", *arguments], cwd=folder, capture_output=True, text=True, check=False
        )

    def test_a_copy_elsewhere_verifies_and_says_so_in_its_exit_status(self, folder: Path) -> None:
        good = self.run(folder, "proof.json", "--jwks", "keys.json", "--trusted", "kept.txt")
        assert (good.returncode, good.stderr) == (0, "")
        assert good.stdout.endswith("VERIFIED\n")
        vkey = verifier_key(ORIGIN, KEY.public_key().public_bytes_raw())
        assert self.run(folder, "kept.txt", "--key", vkey).returncode == 0

    @pytest.mark.parametrize(
        ("arguments", "status"),
        [
            (("proof.json", "--key", "nonsense"), 1),
            (("keys.json", "--jwks", "keys.json"), 1),
            (("proof.json", "--jwks", "proof.json"), 1),
            (("proof.json", "--jwks", "keys.json", "--trusted", "keys.json"), 1),
            (("verify.py", "--jwks", "keys.json"), 1),
            (("nothing.json", "--jwks", "keys.json"), 2),
            (("proof.json",), 2),
        ],
    )
    def test_what_is_wrong_is_told_without_a_traceback(
        self, folder: Path, arguments: tuple[str, ...], status: int
    ) -> None:
        ran = self.run(folder, *arguments)
        assert ran.returncode == status
        assert "Traceback" not in ran.stdout + ran.stderr

    def test_it_imports_the_standard_library_and_cryptography_alone(self) -> None:
        tree = ast.parse((CHECKOUT / "ledger" / "verify.py").read_text(encoding="utf-8"))
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        roots = {module.partition(".")[0] for module in modules}
        assert roots - set(sys.stdlib_module_names) == {"cryptography"}
