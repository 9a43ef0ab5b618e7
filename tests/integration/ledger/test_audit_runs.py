"""How an audit is made: of one instant, in ranges, full or incremental, on record, and without changing anything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, ProgrammingError, connection, connections

from ledger.audit import layout, registry
from ledger.audit.errors import AuditFailed, UnknownCheck
from ledger.audit.findings import Finding, Looked
from ledger.audit.registry import Check, HoldExplanation, register_check, register_hold_explanation
from ledger.audit.run import run_audit
from ledger.audit.snapshot import Base, View, open_views
from ledger.models import AuditRun, AuditScope, Transaction
from tests.audits import NOW, StandingClock, audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.ledger.audited import Audited

INCREMENTAL = AuditScope.INCREMENTAL


@pytest.fixture
def audited(database: DatabaseUrls) -> Audited:
    return Audited.build()


@pytest.fixture
def own_checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Leaves only the checks that it is given."""

    def only(*checks: Check) -> None:
        monkeypatch.setattr(registry, "_checks", {check.name: check for check in checks})

    return only


def everything_in(database: DatabaseUrls) -> dict[str, str]:
    """A digest of each table but that of the audits themselves."""
    with psycopg.connect(database.owner_url) as owner:
        tables = owner.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'ledger_auditrun' ORDER BY 1"
        ).fetchall()
        digests = {}
        for (table,) in tables:
            query = f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"
            ((digests[table],),) = owner.execute(query.encode()).fetchall()
    return digests


def test_an_audit_of_an_empty_ledger_is_clean_and_on_record(database: DatabaseUrls) -> None:
    report = audit()
    assert findings(report) == {}
    run = AuditRun.objects.get()
    assert (run.scope, run.from_transaction, run.through_transaction, run.through_batch) == ("full", 1, 0, 0)
    assert [check["check"] for check in run.report] == [check.name for check in registry.all_checks()]


def test_the_record_says_what_was_looked_at(audited: Audited) -> None:
    report = audit()
    run = AuditRun.objects.get()
    assert (run.actor, run.started_at, run.finished_at) == ("auditor", NOW, NOW)
    assert (run.through_transaction, run.through_batch, run.findings) == (16, 14, 0)
    legs = sum(Transaction.objects.values_list("legs", flat=True))
    assert run.entries == report.entries == legs
    rows = {check["check"]: check["rows"] for check in run.report}
    assert (rows["zero_sum"], rows["entry_chain"], rows["leaves"]) == (legs, legs, legs)
    assert (rows["transaction_numbers"], rows["batch_chain"], rows["batch_roots"]) == (16, 14, 16)
    assert (rows["stored_balances"], rows["hold_chain"], rows["holds"]) == (6, 5, 1)
    assert (rows["transfers"], rows["reversals"], rows["account_changes"]) == (6, 1, 3)
    assert (rows["log_nodes"], rows["checkpoints"], rows["period_seals"], rows["head"]) == (11, 2, 1, 1)
    assert run.report == report.as_json()["checks"]


def test_nothing_is_changed_by_an_audit_and_nothing_can_be(
    audited: Audited, database: DatabaseUrls, own_checks: Callable[..., None]
) -> None:
    before = everything_in(database)
    assert findings(audit()) == {}
    assert everything_in(database) == before

    def meddle(view: View, _: object) -> Looked:
        view.rows(
            "INSERT INTO ledger_actionlog (at, actor, action, subject, reason, details)"
            " VALUES (now(), 'audit', 'x', 'x', '', '{}') RETURNING 1"
        )
        return Looked()

    own_checks(Check("meddler", "It meddles", "Do not", meddle))
    ((subject, told),) = findings(audit())["meddler"]
    assert subject == "everything"
    assert "ReadOnlySqlTransaction" in told
    assert everything_in(database) == before


def test_the_outcome_is_the_same_however_the_work_is_cut(
    audited: Audited, database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper(database, "UPDATE ledger_entry SET amount = amount - 1, ref = 'x' WHERE leg = 1")
    whole = audit()
    for name in ("ENTRIES_A_RANGE", "ACCOUNTS_A_RANGE", "TRANSACTIONS_OF_BATCHES"):
        monkeypatch.setattr(layout, name, 1)
    done = []
    cut = run_audit(
        AuditScope.FULL,
        actor="auditor",
        clock=StandingClock(),
        progress=lambda name, ready, of: done.append((name, ready, of)),
    )
    assert findings(cut) == findings(whole)
    assert [check.outcome.rows for check in cut.checks] == [check.outcome.rows for check in whole.checks]
    assert [ready for _, ready, _ in done] == list(range(1, done[0][2] + 1))
    assert len(done) > 60


def test_all_checks_see_one_instant_while_the_market_goes_on(audited: Audited, own_checks: Callable[..., None]) -> None:
    last = Transaction.objects.latest("id").pk
    seen: list[Any] = []

    def look(view: View, _: object) -> Looked:
        assert went_on.wait(30)
        seen.append(
            view.rows("SELECT max(id), (SELECT last_transaction FROM ledger_ledgerhead) FROM ledger_transaction")
        )
        return Looked()

    def go_on() -> None:
        for number in range(10, 13):
            audited.pay(number)
        connections.close_all()
        went_on.set()

    went_on, market = threading.Event(), threading.Thread(target=go_on)

    def let_the_market_go_on(view: View, _: object) -> Looked:
        market.start()
        return Looked()

    own_checks(
        Check("first", "", "", let_the_market_go_on),
        *(Check(f"look-{number}", "", "", look) for number in range(4)),
    )
    audit()
    market.join()
    assert seen == [[(last, last)]] * 4
    assert Transaction.objects.latest("id").pk == last + 3


def test_an_incremental_audit_goes_on_where_the_last_clean_one_ended(audited: Audited, database: DatabaseUrls) -> None:
    assert audit(scope=INCREMENTAL).scope == "full"  # there was nothing to go on from
    audited.pay(10)
    audited.pay(11)
    audited.book.publish()
    report = audit(scope=INCREMENTAL)
    assert (report.scope, report.from_transaction, report.through_transaction, report.entries) == (
        "incremental",
        17,
        18,
        8,
    )
    assert findings(report) == {}
    tamper(database, "UPDATE ledger_entry SET ref = 'x' WHERE transaction_id = 3")
    tamper(database, "UPDATE ledger_account SET held = 1 WHERE id = %s", [audited.bob])
    audited.pay(12)
    report = audit(scope=INCREMENTAL)
    assert found_by(report) == {  # what was looked at before is not looked at again, but accounts and holds are
        "stored_balances": [f"account {audited.bob}"],
        "holds": [f"account {audited.bob}"],
    }
    assert audit(scope=INCREMENTAL).from_transaction == 19  # an audit with findings is no base
    assert found_by(audit())["leaves"] == ["transaction 3"]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE ledger_entry SET amount = amount - 1 WHERE transaction_id = 17 AND leg = 2",
            {"zero_sum": ["transaction 17"], "entry_chain": ["account 3"], "leaves": ["transaction 17"]},
        ),
        (
            "UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE transaction_id = 15 AND leg = 2",
            {"entry_chain": ["account 3"]},  # the new entry does not go on from the old one any more
        ),
        ("UPDATE ledger_transaction SET kind = 'gift' WHERE id = 17", {"leaves": ["transaction 17"]}),
        ("UPDATE ledger_batch SET hash = sha256('x') WHERE no = 14", {"batch_chain": ["batch 15"]}),
        (
            "UPDATE ledger_lognode SET hash = sha256('x') WHERE level = 3 AND position = 0",
            {"log_nodes": ["log node 4/0"], "checkpoints": ["checkpoint 16"]},
        ),
        ("UPDATE ledger_checkpoint SET root = sha256('x') WHERE size = 16", {"checkpoints": ["checkpoint 16"] * 2}),
        ("DELETE FROM ledger_lognode WHERE level = 4", {"log_nodes": ["log node 4/0"]}),
        (  # without its peaks the log is built from the first batch on
            "DELETE FROM ledger_lognode WHERE level = 3",
            {"log_nodes": ["log node 3/0", "log node 3/1"]},
        ),
    ],
)
def test_an_incremental_audit_finds_what_is_wrong_in_what_is_new(
    audited: Audited, database: DatabaseUrls, statement: str, found: dict[str, list[str]]
) -> None:
    audit()
    audited.pay(10)
    audited.pay(11)
    audited.book.publish()
    assert findings(audit("log_nodes", scope=INCREMENTAL)) == {}
    tamper(database, statement)
    assert found_by(audit(scope=INCREMENTAL)) == found


def test_a_journal_that_is_shorter_than_at_the_last_audit_is_found(audited: Audited, database: DatabaseUrls) -> None:
    AuditRun.objects.create(
        scope="full",
        actor="auditor",
        started_at=NOW,
        finished_at=NOW,
        from_transaction=1,
        through_transaction=20,
        through_batch=18,
        entries=0,
        findings=0,
        report=[],
    )
    ((subject, told),) = findings(audit(scope=INCREMENTAL))["head"]
    assert (subject, told) == (
        "ledger head",
        "the last clean audit saw transaction 20 and batch 18; what came last is gone",
    )


def test_some_checks_alone_are_no_audit_on_record(audited: Audited) -> None:
    report = audit("zero_sum", "leaves")
    assert [check.name for check in report.checks] == ["zero_sum", "leaves"]
    assert not AuditRun.objects.exists()
    with pytest.raises(UnknownCheck, match=r"no check 'zero_some'\. There are: zero_sum, "):
        audit("zero_some")


def test_audits_on_record_stay(audited: Audited) -> None:
    audit()
    with pytest.raises((IntegrityError, ProgrammingError)), connection.cursor() as cursor:
        cursor.execute("UPDATE ledger_auditrun SET findings = 0")


def test_a_check_that_cannot_be_completed_is_a_finding_and_the_others_go_on(
    audited: Audited, own_checks: Callable[..., None]
) -> None:
    def divide(view: View, _: object) -> Looked:
        return Looked(len(view.rows("SELECT 1 / 0")))

    def crash(*_: object) -> Looked:
        raise ValueError("no such thing")

    def find(view: View, _: object) -> Looked:
        return Looked(1, 1, (Finding("account 1", str(view.rows("SELECT 7")[0][0])),))

    own_checks(*(Check(look.__name__, "", "", look) for look in (divide, crash, find)))
    found = findings(audit())
    assert found["find"] == [("account 1", "7")]
    assert found["crash"] == [("everything", "the check could not be completed: ValueError: no such thing")]
    assert found["divide"][0][1] == "the check could not be completed: DivisionByZero: division by zero"


def test_an_audit_that_loses_its_database_says_nothing_of_the_ledger(
    audited: Audited, database: DatabaseUrls, own_checks: Callable[..., None]
) -> None:
    def die(view: View, _: object) -> Looked:
        with psycopg.connect(database.app_url) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [view.connection.info.backend_pid])
        view.rows("SELECT 1")
        return Looked()

    own_checks(Check("dies", "", "", die))
    with pytest.raises(AuditFailed):
        audit()
    assert not AuditRun.objects.exists()


def test_names_are_taken_once(own_checks: Callable[..., None]) -> None:
    own_checks()
    check = Check("mine", "", "", lambda *_: Looked())
    register_check(check)
    register_check(check)  # start-up may run twice
    with pytest.raises(ValueError, match="mine"):
        register_check(Check("mine", "another", "", lambda *_: Looked()))
    explanation = registry.hold_explanations()[0]
    with pytest.raises(ValueError, match="already"):
        register_hold_explanation(HoldExplanation(explanation.name, "another", explanation.query))


def test_views_of_one_audit_share_an_instant_and_refuse_to_write(audited: Audited) -> None:
    with open_views(2, Base(), key=1) as (one, other):
        number = audited.pay(10)
        for view in (one, other):
            ((last,),) = view.rows("SELECT max(id) FROM ledger_transaction")
            assert last == number - 1
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), view.connection.transaction():
                view.rows("DELETE FROM ledger_idempotentrequest RETURNING 1")
