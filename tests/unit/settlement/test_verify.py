from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from settlement.statements import verify as verifier
from settlement.statements.canonical import canonical_bytes, canonical_digest
from settlement.statements.document import ChainLink
from settlement.statements.verify import Report, main
from tests.unit.settlement.first_form import lines_root
from tests.unit.settlement.sample_statements import (
    AUDITOR,
    EXCHANGE,
    ISSUED_AT,
    KEYS,
    METERING,
    METERS,
    SECOND_BALANCES,
    STRANGER,
    core,
    key_set,
    published,
    run_info,
    second_core,
    signed,
)

ROOT = Path(__file__).parents[3]
ISSUED = int(ISSUED_AT.timestamp())
verify = partial(verifier.verify, first_form=True)


def failure(report: Report) -> str:
    assert not report.ok
    failed = [check for check in report.checks if not check.passed]
    assert len(failed) == 1
    assert failed[0] is report.checks[-1]
    return f"{failed[0].name}: {failed[0].detail}"


def resigned(payload: Any) -> bytes:
    """Any payload under a good signature, as a faulty or hostile exchange could issue it."""
    return EXCHANGE.sign(payload, signed_at=ISSUED_AT)


def forged(
    change: Callable[[dict[str, Any]], object], *, redo_root: bool = True, content: dict[str, Any] | None = None
) -> bytes:
    """A statement whose core was changed, with digest, root and signature made to fit again."""
    content = core() if content is None else content
    change(content)
    if redo_root and isinstance(content.get("lines"), list):
        content["lines_root"] = lines_root(content["lines"]).hex()
    digest = canonical_digest(content).hex()
    annex = {"issued_at": "2026-12-02T09:00:00Z"}
    return resigned({"schema": "tokenbourse-statement/1", "core": content, "core_digest": digest, "annex": annex})


def test_a_good_statement_verifies_and_says_how() -> None:
    report = verify(signed(core()), KEYS)
    assert report.ok, report.text()
    assert [check.name for check in report.checks] == [
        "signatures",
        "canonical form",
        "content",
        "lines",
        "balances",
        "totals",
        "metering",
        "chain",
        "log",
    ]
    assert report.core == core()
    assert report.signers == [EXCHANGE.kid]
    assert report.text().endswith("VERIFIED, but not: log")


def test_a_statement_without_lines_or_chain_verifies() -> None:
    assert verify(signed(core(lines=[])), KEYS).ok
    indicative = core(run=run_info("indicative"), chain=None)
    assert verify(signed(indicative), KEYS).ok


def test_an_auditors_second_signature_is_checked_too() -> None:
    both = AUDITOR.add_signature(signed(core()), signed_at=ISSUED_AT, header={"opinion": "agreed"})
    report = verify(both, KEYS)
    assert (report.ok, report.signers) == (True, [EXCHANGE.kid, AUDITOR.kid])
    assert report.opinions == ["agreed by Audit & Co"]
    assert "opinion is missing" in failure(verify(AUDITOR.add_signature(signed(core()), signed_at=ISSUED_AT), KEYS))
    assert "not in the key set" in failure(verify(STRANGER.add_signature(both, signed_at=ISSUED_AT), KEYS))
    assert "signed twice" in failure(verify(EXCHANGE.add_signature(both, signed_at=ISSUED_AT), KEYS))


def test_a_change_of_any_byte_fails() -> None:
    statement = signed(core(lines=[]))
    for position in range(len(statement)):
        for flip in (0x01, 0x80):
            changed = bytearray(statement)
            changed[position] ^= flip
            assert not verify(bytes(changed), KEYS).ok, f"byte {position} ^ {flip}"


def test_bytes_cut_off_or_added_fail() -> None:
    statement = signed(core())
    for changed in (statement[:-1], statement + b"\n", b" " + statement, b""):
        assert not verify(changed, KEYS).ok


def test_a_strangers_signature_fails() -> None:
    assert "not in the key set" in failure(verify(signed(core(), STRANGER), KEYS))


@pytest.mark.parametrize(
    ("validity", "fault"),
    [
        ({"nbf": ISSUED + 1}, "before it was valid"),
        ({"exp": ISSUED}, "after it expired"),
        ({"revoked": {"revoked_at": ISSUED}}, "after it was revoked"),
    ],
)
def test_a_key_signs_only_while_it_is_valid(validity: dict[str, Any], fault: str) -> None:
    assert fault in failure(verify(signed(core()), key_set(published(EXCHANGE, **validity))))


def test_a_retired_key_still_vouches_for_its_day() -> None:
    later = ISSUED + 86_400
    key = published(EXCHANGE, status="retired", nbf=ISSUED, exp=later, log_until=9)
    assert verify(signed(core()), key_set(key)).ok


def test_a_revoked_key_vouches_for_no_statement_of_the_first_form() -> None:
    """They are in no log, so nothing shows when it signed."""
    key = published(EXCHANGE, nbf=ISSUED, exp=ISSUED + 600, revoked={"revoked_at": ISSUED + 600})
    assert verify(signed(core()), key_set(key)).code == "key_revoked"


def test_the_first_form_is_taken_only_where_it_is_expected() -> None:
    """Else whoever has any key could leave out whatever the second form proves."""
    assert verifier.verify(signed(core()), KEYS).code == "first_form"
    assert verify(signed(core()), KEYS, require=["log"]).code == "not_checked"
    assert verify(signed(core(), AUDITOR), KEYS).code == "bad_opinion"
    refusal = AUDITOR.sign(
        json.loads(_decoded(json.loads(signed(core()))["payload"])),
        signed_at=ISSUED_AT,
    )
    assert verify(refusal, KEYS).code == "bad_opinion"
    assert verify(forged(lambda c: c.update(surprise="x")), KEYS).code == "wrong_schema"
    for unused in ("records", "proof", "checkpoint"):
        given: dict[str, Any] = {unused: b"x"}
        assert verify(signed(core()), KEYS, **given).code == "unused_option"


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_key_that_stands_twice_in_the_set_is_refused_whatever_the_order() -> None:
    """Else a revoked key would count again wherever it is listed once more without saying so."""
    twice = [published(EXCHANGE, revoked={"revoked_at": 1}), published(EXCHANGE)]
    for keys in (twice, twice[::-1]):
        assert "twice" in failure(verify(signed(core()), key_set(*keys)))


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "EdDSA"}, {"typ": "JWT"}, {"crit": ["b64"]}, {"iat": "x"}])
def test_other_algorithms_types_and_extensions_are_refused(header: dict[str, Any]) -> None:
    envelope = json.loads(signed(core()))
    protected = {"alg": "Ed25519", "kid": EXCHANGE.kid, "typ": "tokenbourse-statement+jws", "iat": 1} | header
    encoded = base64.urlsafe_b64encode(canonical_bytes(protected)).rstrip(b"=").decode()
    envelope["signatures"][0]["protected"] = encoded
    assert failure(verify(canonical_bytes(envelope), KEYS)).startswith("signatures")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda c: c["lines"][1].update(number=1), "lines: line 2 is numbered 1"),
        (lambda c: c["lines"].pop(), "lines: lines_count"),
        (lambda c: c["lines"][2].update(amount="9.000000"), "totals: the totals by kind"),
        (lambda c: c["lines"][2].update(amount="9.0"), "totals: amount is not an amount"),
        (lambda c: c["lines"][2].update(tokens="1e3"), "totals: tokens is not a whole number"),
        (lambda c: c["totals"].update(amount="0.056701"), "totals: the total is 0.056701"),
        (lambda c: c["totals"]["by_kind"].reverse(), "totals: the totals by kind"),
        (lambda c: c["balances"]["closing"].update(amount="0.635861"), "balances: opening 0.000000"),
        (lambda c: c["balances"]["closing"].update(account_seq=6), "balances: the movements"),
        (lambda c: c["balances"].update(available="0.635860"), "balances: closing less held"),
        (lambda c: c["balances"].pop("opening"), "balances: balances: opening is missing"),
        (lambda c: c.update(balances=[]), "balances: balances is not an object"),
        (lambda c: c.update(lines={}), "lines: lines is not a list"),
        (lambda c: c.update(lines=["x"], lines_count=1), "lines: an item of lines is not an object"),
        (lambda c: c.update(party="someone-else"), "content: statement_id"),
        (lambda c: c.update(sequence=2), "chain: only the first"),
        (lambda c: c.update(sequence=0), "chain: only the first"),
        (lambda c: c.update(previous_digest="00"), "chain: only the first"),
        (lambda c: c["run"].update(kind="indicative"), "chain: an indicative"),
        (lambda c: c.update(lines_count=True), "canonical form: a value is true"),
        (lambda c: c.update(party=None), "canonical form: a value is null"),
    ],
)
def test_a_signed_statement_that_does_not_add_up_fails(change: Callable[[dict[str, Any]], object], fault: str) -> None:
    assert failure(verify(forged(change), KEYS)).startswith(fault)


def with_evidence() -> dict[str, Any]:
    return core(metering=replace(METERING, meters=deepcopy(METERS)))


def test_the_meters_evidence_is_part_of_what_is_signed() -> None:
    content = with_evidence()
    assert content["metering"][0]["buckets"] == METERS["buckets"]
    report = verify(signed(content), KEYS)
    assert report.ok, report.text()
    assert "1 positions, 2 figures by kind of token" in report.text()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda bucket: bucket.update(difference="11"), "a difference is not"),
        (lambda bucket: bucket.update(buyer="60001"), "a difference is not"),
        (lambda bucket: bucket.pop("buyer"), "a difference is not"),
        (lambda bucket: bucket.update(provider="-10", buyer="-20"), "a figure of the meters is negative"),
        (lambda bucket: bucket.update(settled="1.5"), "settled is not a whole number"),
        (lambda bucket: bucket.pop("tolerance"), "a bucket: tolerance is missing"),
    ],
)
def test_meters_figures_that_do_not_add_up_fail(change: Callable[[dict[str, str]], object], fault: str) -> None:
    changed = forged(lambda c: change(c["metering"][0]["buckets"]["input_uncached"]), content=with_evidence())
    assert failure(verify(changed, KEYS)).startswith(f"metering: {fault}")


def test_buckets_of_another_shape_fail() -> None:
    shapes: list[Any] = ["x", [], {"input_uncached": "x"}]
    for shape in shapes:

        def change(content: dict[str, Any], buckets: Any = shape) -> None:
            content["metering"][0]["buckets"] = buckets

        assert failure(verify(forged(change), KEYS)).startswith("metering: ")


def test_the_root_is_computed_from_the_lines() -> None:
    changed = forged(lambda c: c["lines"][0].update(price="4.210000"), redo_root=False)
    assert failure(verify(changed, KEYS)).startswith("lines: lines_root")


def test_the_core_digest_and_schema_are_checked() -> None:
    payload = {"schema": "tokenbourse-statement/1", "core": core(), "core_digest": "00", "annex": {}}
    assert "core_digest" in failure(verify(resigned(payload), KEYS))
    assert "schema" in failure(verify(resigned(payload | {"schema": "other/1"}), KEYS))


def test_the_chain_to_the_previous_statement() -> None:
    first, second = signed(core()), signed(second_core(core()))
    assert verify(second, KEYS).unchecked == ["chain", "log"]
    assert verify(second, KEYS, first).ok
    assert "the previous one number 1" in failure(verify(first, KEYS, first))
    assert "the previous statement: " in failure(verify(second, KEYS, first[:-1]))
    assert "not the one named" in failure(verify(second, KEYS, signed(core(lines=[]))))
    assert "another party" in failure(verify(second, KEYS, forged(_of_another_party)))
    skipping = signed(core(run=run_info("final", 2), chain=ChainLink(2, canonical_digest(core())), lines=[]))
    assert "does not open where" in failure(verify(skipping, KEYS, first))


def _of_another_party(content: dict[str, Any]) -> None:
    content.update(party="buyer-b", statement_id=content["statement_id"].replace("buyer-a", "buyer-b"))


def test_the_first_statement_opens_at_nothing() -> None:
    assert "opens at 0" in failure(verify(signed(core(balances=SECOND_BALANCES)), KEYS))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    first = core()
    contents = {"first": signed(first), "second": signed(second_core(first)), "bad": b"{}", "keys": KEYS}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: str(tmp_path / name) for name in [*contents, "absent"]}


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["first", "--jwks", "keys"], 1),
        (["first", "--jwks", "keys", "--first-form"], 0),
        (["second", "--jwks", "keys", "--first-form", "--previous", "first"], 0),
        (["second", "--jwks", "keys", "--first-form", "--strict"], 1),
        (["first", "--jwks", "keys", "--first-form", "--previous", "second"], 1),
        (["bad", "--jwks", "keys"], 1),
        (["first", "--jwks", "bad"], 1),
        (["absent", "--jwks", "keys"], 2),
        (["first", "--jwks", "absent"], 2),
    ],
)
def test_the_exit_status(
    arguments: list[str], status: int, files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([files.get(argument, argument) for argument in arguments]) == status
    output = capsys.readouterr()
    assert ("NOT VERIFIED" in output.out) == (status == 1)
    assert ("Cannot read" in output.err) == (status == 2)


def test_the_command_runs_and_a_lone_copy_of_the_file_too(files: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "settlement.statements.verify", files["first"], "--jwks", files["keys"]]
    command.append("--first-form")
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "VERIFIED, but not: log"), ran.stdout + ran.stderr
    copy = tmp_path / "verify_statement.py"
    copy.write_bytes((ROOT / "settlement/statements/verify.py").read_bytes())
    alone = [sys.executable, "-I", str(copy), files["first"], "--jwks", files["keys"], "--first-form"]
    assert subprocess.run(alone, cwd=tmp_path, capture_output=True).returncode == 0


def test_a_terminal_of_few_characters_does_not_change_the_verdict(files: dict[str, str]) -> None:
    command = [sys.executable, "-m", "settlement.statements.verify", files["second"], "--jwks", files["keys"]]
    command.append("--first-form")
    env = {"PYTHONIOENCODING": "ascii"}
    for previous, status in ((files["first"], 0), (files["second"], 1)):
        ran = subprocess.run([*command, "--previous", previous], cwd=ROOT, env=env, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (status, "")


def test_importing_the_verifier_needs_the_standard_library_and_cryptography_only() -> None:
    script = (
        "import sys, settlement.statements.verify\n"
        "roots = {name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(sorted(root for root in roots if not root.startswith('_')))"
    )
    ran = subprocess.run([sys.executable, "-S", "-c", _with_packages(script)], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "['cryptography', 'settlement']"


def _with_packages(script: str) -> str:
    """Without `site`, so that no start-up hook of another package is mistaken for an import of ours."""
    return f"import sys; sys.path[:0] = {[str(ROOT), *sys.path]!r}\n{script}"
