from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from ledger.audit.findings import KEPT, AuditReport, CheckReport, Finding, Looked, looked, together

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def some(count: int, of: str = "account") -> list[Finding]:
    return [Finding(f"{of} {number}", "wrong") for number in range(count)]


def report(*checks: CheckReport) -> AuditReport:
    return AuditReport("full", "arun", NOON, NOON + timedelta(seconds=2), 2_000, 1, 9, 3, 40, checks)


def test_all_findings_are_counted_and_the_first_are_kept() -> None:
    seen = looked(5_000, iter(some(1_234)))
    assert (seen.rows, seen.found, len(seen.findings)) == (5_000, 1_234, KEPT)
    assert [finding.subject for finding in seen.findings[:2]] == ["account 0", "account 1"]
    assert looked(7, []) == Looked(7, 0, ())


def test_parts_come_together_in_their_order() -> None:
    whole = together([looked(1, some(60)), looked(2, []), looked(3, some(60, "batch")), looked(4, some(60))])
    assert (whole.rows, whole.found, len(whole.findings)) == (10, 180, KEPT)
    assert [finding.subject for finding in whole.findings[58:62]] == ["account 58", "account 59", "batch 0", "batch 1"]
    assert whole.findings[-1].subject == "batch 39"
    assert together([]) == Looked()


def test_the_json_form_is_what_programs_rely_on() -> None:
    check = CheckReport(
        "zero_sum", "It sums to zero", "Look", 12, looked(40, [Finding("transaction 7", "it does not")])
    )
    assert report(check).as_json() == {
        "format": "tokenbourse-audit/1",
        "scope": "full",
        "actor": "arun",
        "started_at": "2026-12-01T12:00:00.000000Z",
        "finished_at": "2026-12-01T12:00:02.000000Z",
        "milliseconds": 2_000,
        "from_transaction": 1,
        "through_transaction": 9,
        "through_batch": 3,
        "entries": 40,
        "findings": 1,
        "checks": [
            {
                "check": "zero_sum",
                "title": "It sums to zero",
                "rows": 40,
                "milliseconds": 12,
                "findings": [{"subject": "transaction 7", "detail": "it does not"}],
                "found": 1,
            }
        ],
    }
    assert json.loads(json.dumps(report(check).as_json())) == report(check).as_json()


def test_instants_are_told_in_utc() -> None:
    made = AuditReport("full", "a", NOON.astimezone(timezone(timedelta(hours=8))), NOON, 0, 1, 0, 0, 0, ())
    assert made.as_json()["started_at"] == made.as_json()["finished_at"]


def test_a_report_counts_the_findings_of_all_its_checks() -> None:
    checks = [CheckReport(name, "", "", 0, looked(0, some(count))) for name, count in (("a", 3), ("b", 0), ("c", 250))]
    assert report(*checks).found == 253
