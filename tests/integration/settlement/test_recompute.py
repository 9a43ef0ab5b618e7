"""A run computed anew from its bundle alone comes out byte for byte the same; a bundle that was tampered with does not,
and the report says why."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from config.environment import CHECKOUT
from settlement.models import RunKind, SettlementRun
from settlement.recompute.bundle import open_files
from settlement.recompute.faults import MALFORMED, FaultCode
from settlement.recompute.report import recompute
from settlement.recompute.verdict import Report
from tests.audits import tamper
from tests.conftest import DatabaseUrls
from tests.integration.settlement.settled_bundles import settled_day
from tests.integration.settlement.tampered_bundles import Tampered, set_
from tests.integration.settlement.tamperings import TAMPERINGS
from tests.unit.ledger.sample_log import OTHER_KEY, jwk_of, jwks


@pytest.mark.parametrize("kind", ["indicative", "initial", "final"])
def test_every_run_comes_out_the_same(bundles: dict[str, Path], kind: str) -> None:
    earlier = [open_files(bundles["initial"])] if kind == "final" else []
    report = recompute(open_files(bundles[kind]), bundles["keys"].read_bytes(), earlier)
    assert report.exit_status == 0, report.text()
    assert (report.contracts, report.positions) == (1, 3)
    assert report.proven_events == report.events > 160
    assert report.statements >= 4
    untold = [note.partition(":")[0] for note in report.notes]
    assert untold == (["grid-compute", "model-lab", "power-works"] if kind == "indicative" else [])


def test_the_program_needs_neither_django_nor_a_database(bundles: dict[str, Path], tmp_path: Path) -> None:
    packed = tmp_path / "bundle.zip"
    with zipfile.ZipFile(packed, "x") as file:
        for path in sorted(bundles["final"].rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(bundles["final"]).as_posix())
    code = (
        "import sys; from settlement.recompute.__main__ import main; status = main(sys.argv[1:]);"
        "assert 'django' not in sys.modules; sys.exit(status)"
    )

    def run(*arguments: object) -> tuple[int, str]:
        told = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=CHECKOUT,
            env={"PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        return told.returncode, told.stdout + told.stderr

    for bundle in (bundles["final"], packed):
        status, told = run(bundle, "--jwks", bundles["keys"])
        assert status == 0, told
        assert told.endswith("\nRECOMPUTED: all 9 statements come out byte for byte the same\n")
        assert "taken as given: the earlier figures of 3 positions" in told
        status, told = run(bundle, "--earlier", bundles["initial"])
        assert status == 3, told
        assert "\nFITS TOGETHER; KEYS NOT CHECKED: all 9 statements" in told
        assert "earlier figures" not in told
    assert run(tmp_path / "nothing")[0] == 2
    assert run(packed, "--jwks", tmp_path / "nothing")[0] == 2
    assert run(packed, "--earlier", tmp_path / "nothing")[0] == 2
    (tmp_path / "empty").mkdir()
    status, told = run(tmp_path / "empty")
    assert (status, "unreadable" in told) == (2, True)


def found(bundle: Path, jwks: bytes | None = None) -> Report:
    return recompute(open_files(bundle), jwks)


@pytest.mark.parametrize("name", TAMPERINGS)
def test_each_kind_of_tampering_has_its_reason(bundles: dict[str, Path], name: str, tmp_path: Path) -> None:
    expected, change = TAMPERINGS[name]
    tampered = Tampered(bundles["final"], tmp_path / "bundle")
    change(tampered)
    earlier = [open_files(bundles["initial"])] if expected is FaultCode.WRONG_EARLIER else []
    keys = None if expected is FaultCode.BAD_KEYS else bundles["keys"].read_bytes()
    report = recompute(open_files(tampered.path), keys, earlier)
    assert not report.ok
    assert expected in {check.code for check in report.faults}, report.text()
    assert report.exit_status == (2 if expected in MALFORMED else 1), report.text()
    assert "NOT THE SAME" in report.text()


def test_every_reason_is_met(bundles: dict[str, Path]) -> None:
    assert {expected for expected, _ in TAMPERINGS.values()} == set(FaultCode)


def test_other_versions_are_told(bundles: dict[str, Path], tmp_path: Path) -> None:
    tampered = Tampered(bundles["final"], tmp_path / "bundle")
    tampered.manifest(lambda m: set_(m, "run", "code_version", to="0" * 16))
    report = found(tampered.path)
    assert "with code 0000000000000000" in report.text()
    assert {check.code for check in report.faults} == {FaultCode.CORE_DIFFERS}


def test_keys_from_elsewhere_outrank_those_in_the_bundle(bundles: dict[str, Path]) -> None:
    report = found(bundles["final"], jwks(jwk_of(OTHER_KEY, kid="other", nbf=0)))
    assert {check.code for check in report.faults} == {FaultCode.BAD_STATEMENT, FaultCode.BAD_CHECKPOINT}


def test_the_commands(database: DatabaseUrls, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settled_day()
    final = SettlementRun.objects.get(kind=RunKind.FINAL)
    call_command("recompute_run", str(final.pk))
    assert "RECOMPUTED" in capsys.readouterr().out
    for out in ("bundle", "bundle.zip", "again.zip"):
        call_command("export_bundle", str(final.pk), "--out", str(tmp_path / out))
        assert found(tmp_path / out).ok
    assert (tmp_path / "bundle.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    with pytest.raises(CommandError, match=r"not_found|bundle"):
        call_command("export_bundle", "99", "--out", str(tmp_path / "new"))
    with pytest.raises(CommandError, match="exists"):
        call_command("export_bundle", str(final.pk), "--out", str(tmp_path / "bundle"))
    tamper(database, "UPDATE settlement_usageevent SET input_uncached = input_uncached + 1 WHERE event_id = 'alone'")
    with pytest.raises(CommandError, match="recompute_differs"):
        call_command("recompute_run", str(final.pk))
    tamper(database, "UPDATE settlement_frozeninput SET content = content || ' '::bytea WHERE run_id = %s", [final.pk])
    with pytest.raises(CommandError, match="frozen_input_changed"):
        call_command("recompute_run", str(final.pk))
