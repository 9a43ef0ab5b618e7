"""What whoever holds a bundle, or made it, could try on an auditor: each is refused, or told of, in so many words."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from settlement.recompute import bundle as bundle_module
from settlement.recompute import files as files_module
from settlement.recompute.__main__ import main
from settlement.recompute.bundle import open_files
from settlement.recompute.faults import BundleFault, FaultCode
from settlement.recompute.manifest import MANIFEST
from settlement.recompute.report import recompute
from tests.integration.settlement.tampered_bundles import EVENTS, INPUT, Tampered, set_, unsaid

Bundles = dict[str, Path]


@pytest.fixture
def copy(bundles: Bundles, tmp_path: Path) -> Tampered:
    """The final run's bundle, to be changed."""
    return Tampered(bundles["final"], tmp_path / "bundle")


def test_without_keys_from_elsewhere_a_bundle_only_fits_together(bundles: Bundles) -> None:
    report = recompute(open_files(bundles["final"]))
    assert (report.ok, report.exit_status) == (True, 3)
    assert report.text().splitlines()[-1].startswith("FITS TOGETHER; KEYS NOT CHECKED: ")
    assert "RECOMPUTED" not in report.text()


def test_a_bundle_recomputes_after_its_key_was_revoked(bundles: Bundles) -> None:
    keys = bundles["keys after"].read_bytes()
    report = recompute(open_files(bundles["revoked"]), keys, [])
    assert report.exit_status == 0, report.text()
    report = recompute(open_files(bundles["final"]), keys)  # exported before, with proofs under the revoked key
    assert FaultCode.BAD_STATEMENT in {check.code for check in report.faults}


def test_the_verdict_tells_what_was_taken_as_given(bundles: Bundles, copy: Tampered) -> None:
    keys = bundles["keys"].read_bytes()
    report = recompute(open_files(bundles["final"]), keys)
    assert report.given[0].startswith("the earlier figures of 3 positions")
    report = recompute(open_files(bundles["final"]), keys, [open_files(bundles["initial"])])
    assert not any("earlier figures" in each or "usage events say" in each for each in report.given)
    copy.lines(EVENTS, unsaid)  # the words are all that binds what an event says
    report = recompute(open_files(copy.path), keys)
    assert (report.exit_status, report.proven_events) == (0, 0), report.text()
    assert f"what {report.events} usage events say" in report.text()


def test_the_run_before_must_be_the_one_that_is_followed(bundles: Bundles) -> None:
    keys = bundles["keys"].read_bytes()
    for kind in ("indicative", "final"):
        report = recompute(open_files(bundles["final"]), keys, [open_files(bundles[kind])])
        assert {check.code for check in report.faults} == {FaultCode.WRONG_EARLIER}, report.text()
    report = recompute(open_files(bundles["initial"]), keys, [open_files(bundles["final"])])
    assert FaultCode.WRONG_EARLIER in {check.code for check in report.faults}


def test_a_forged_run_before_proves_nothing(bundles: Bundles, tmp_path: Path) -> None:
    forged = Tampered(bundles["initial"], tmp_path / "forged")
    forged.lines("accounts/buyer-1.jsonl.gz", lambda entries: entries[1:])
    report = recompute(open_files(bundles["final"]), bundles["keys"].read_bytes(), [open_files(forged.path)])
    assert report.exit_status == 1
    assert report.faults[0].what.startswith("earlier run CNY 20261201T1400Z/60/initial: buyer-1")


def bond(value: Any, micros: str) -> None:
    set_(value, "positions", 0, "bond_micros", to=micros)


INPUTS: dict[str, Callable[[Any], object]] = {
    "settled in USD": lambda v: v.update(currency="USD"),
    "did not end in the run's period": lambda v: v.update(delivery_end="2026-12-01T15:00:01+00:00"),
    "frozen under rules 999": lambda v: v.update(rules_version="999"),
    "usage up to call 1": lambda v: v.update(usage_through="1"),
    "held back, other than in final runs": lambda v: v.update(suspends=True),
    "names a pair of buyer and provider twice": lambda v: v["unmatched"].append(
        {name: v["positions"][0][name] for name in v["unmatched"][0]}
    ),
    "its terms do not come to the hash": lambda v: v["terms"].update(take_or_pay_permille=0),
    "its positions and reference price": lambda v: v.update(reference_price_micros="8400000"),
    "positions and reference price do not come": lambda v: bond(v, "1"),
    "they do not come to the digest that the manifest has": lambda v: set_(
        v, "positions", 0, "bond_micros", to="7000001"
    ),
}


@pytest.mark.parametrize("told", INPUTS)
def test_inputs_are_held_against_the_run_and_their_hashes(told: str, copy: Tampered) -> None:
    copy.json(INPUT, INPUTS[told], canonical=True)
    report = recompute(open_files(copy.path))
    assert told in report.text()
    assert report.exit_status == 1


def test_a_position_left_out_is_missed(copy: Tampered) -> None:
    copy.json(INPUT, lambda v: v["positions"].pop(2) and None, canonical=True)
    copy.lines(EVENTS, lambda events: [each for each in events if each["provider"] != "provider-2"])
    assert "its positions and reference price do not come to the hash" in recompute(open_files(copy.path)).text()


@pytest.mark.parametrize("changed", ["run", "file"])
def test_nothing_in_a_bundle_can_write_the_verdict(copy: Tampered, changed: str) -> None:
    lie = "x\nRECOMPUTED: all 9 statements come out byte for byte the same"
    if changed == "run":
        copy.manifest(lambda m: set_(m, "run", "key", to=lie))
    else:
        (copy.path / lie).touch()
    lines = recompute(open_files(copy.path)).text().splitlines()
    assert lines[-1].startswith("NOT THE SAME")
    assert not any(line.startswith("RECOMPUTED") for line in lines)


def zipped(bundle: Path, path: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for each in sorted(bundle.rglob("*")):
            if each.is_file():
                file.write(each, each.relative_to(bundle).as_posix())
    return path


def twice(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr(MANIFEST, "{}")


def link(path: Path) -> None:
    linked = zipfile.ZipInfo("link")
    linked.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(linked, "/etc/hostname")


def patch(path: Path, marks: dict[bytes, int], value: int) -> None:
    """Set the byte at some distance from every mark."""
    content = bytearray(path.read_bytes())
    for mark, distance in marks.items():
        at = -1
        while (at := content.find(mark, at + 1)) >= 0:
            content[at + distance] = value
    path.write_bytes(content)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = content.find(b"jwks.json") + 9
    content[at : at + 40] = b"\xff" * 40
    path.write_bytes(content)


ZIPS: dict[str, Callable[[Path], object]] = {
    "a name twice": twice,
    "a link": link,
    "encrypted": lambda path: patch(path, {b"PK\x03\x04": 6, b"PK\x01\x02": 8}, 1),
    "an unknown method": lambda path: patch(path, {b"PK\x03\x04": 8, b"PK\x01\x02": 10}, 97),
    "damaged": damage,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("name", ZIPS)
def test_a_zip_file_that_is_not_plain_is_refused(
    bundles: Bundles, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = zipped(bundles["final"], tmp_path / "bundle.zip")
    assert recompute(open_files(path)).ok
    ZIPS[name](path)
    assert main([str(path)]) == 2
    told = capsys.readouterr()
    assert "unreadable" in told.out + told.err


def test_what_is_too_large_is_not_unpacked(bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(bundles["final"], tmp_path / "bundle.zip")

    def codes() -> set[str]:
        return {check.code for check in recompute(open_files(path)).faults}

    assert not codes()
    for module, name in (
        (files_module, "MAX_FILES"),
        (files_module, "MAX_FILE_BYTES"),
        (files_module, "MAX_TOTAL_BYTES"),
        (bundle_module, "MAX_MANIFEST_BYTES"),
        (bundle_module, "MAX_UNPACKED_BYTES"),
        (bundle_module, "MAX_UNPACKED_TOTAL"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, 5)
            assert codes() == {FaultCode.TOO_LARGE}, name


def test_a_pipe_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "nothing").symlink_to("/dev/null")
    with pytest.raises(BundleFault, match="neither a folder nor a zip file"):
        open_files(tmp_path / "nothing")


def test_values_that_no_run_has_end_in_a_report(copy: Tampered) -> None:
    copy.json(INPUT, lambda v: set_(v, "positions", 0, "tokens", to="0"), canonical=True)
    report = recompute(open_files(copy.path))
    assert report.exit_status in (1, 2)
    assert "NOT THE SAME" in report.text()
