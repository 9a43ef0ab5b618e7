"""The audit's pages: who may read them, and what they say to somebody who sees no colours."""

from __future__ import annotations

import html
import re

import pytest
from django.test import override_settings

from ledger.models import AuditRun, AuditScope, MembershipRole, Party, PartyKind
from ledger.parties.commands import register_party
from tests.audits import audit, tamper
from tests.conftest import DatabaseUrls
from tests.integration.admin.people import Visitor, anybody, login
from tests.integration.ledger.audited import Audited
from tests.integration.ledger.logbook import NOW

RUNS = "/audit/checks/"


@pytest.fixture
def audited(database: DatabaseUrls) -> Audited:
    return Audited.build()


@pytest.fixture
def auditor(audited: Audited) -> Visitor:
    party = register_party("auditor", "Auditor", PartyKind.AUDITOR, actor="test", now=NOW)
    return visitor("arun", party, MembershipRole.AUDITOR)


def visitor(name: str, party: Party, role: MembershipRole) -> Visitor:
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        return login(name, party, role)


def plain(text: str) -> str:
    """What is read out: the text without its tags."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", text)))


def test_operators_and_auditors_read_them_and_nobody_else(audited: Audited, auditor: Visitor) -> None:
    audit()
    pages = (RUNS, f"{RUNS}{AuditRun.objects.get().pk}/")
    operator = visitor("olga", Party.objects.get(code="house"), MembershipRole.OPERATOR)
    buyer = visitor("bea", Party.objects.get(code="ada"), MembershipRole.BUYER_STAFF)
    for page in pages:
        assert [each.get(page).status_code for each in (auditor, operator, buyer, anybody())] == [200, 200, 403, 302]
    assert auditor.get(f"{RUNS}99/").status_code == 404


def test_before_the_first_audit_the_page_says_so_and_how_to_make_one(auditor: Visitor) -> None:
    said = plain(auditor.text(RUNS))
    assert "No audit is on record yet." in said
    assert "manage.py audit_ledger --incremental" in said
    assert "Every transaction sums to zero in each asset" in said


def test_a_clean_audit_says_in_words_that_every_check_holds(auditor: Visitor) -> None:
    audit()
    said = plain(auditor.text(RUNS))
    assert "✓ The newest audit is clean" in said
    assert "It looked at transactions 1 to 16" in said
    text = auditor.text(f"{RUNS}{AuditRun.objects.get().pk}/")
    checks = len(AuditRun.objects.get().report)
    assert f"All {checks} checks hold." in plain(text)
    assert text.count(">holds</span>") == checks
    assert "everything from the first transaction on" in plain(text)


def test_findings_come_first_with_what_to_do_and_lead_to_what_they_are_about(
    audited: Audited, auditor: Visitor, database: DatabaseUrls
) -> None:
    hostile = "UPDATE ledger_account SET role = '<b>mine</b>', qualifier = 'x' WHERE id = %s"
    tamper(database, "UPDATE ledger_entry SET ref = 'x' WHERE transaction_id = %s", [audited.payment])
    tamper(database, "UPDATE ledger_batch SET root = sha256('x') WHERE no = %s", [audited.batch])
    tamper(database, hostile, [audited.bob])
    audit()
    assert re.search(r"✗ The newest audit has \d+ findings", plain(auditor.text(RUNS)))
    text = auditor.text(f"{RUNS}{AuditRun.objects.get().pk}/")
    said = plain(text)
    assert said.index("This does not hold: Every transaction's rows give") < said.index("Every check")
    assert "Compare them with an export or backup." in said
    for address in (
        f"/audit/journal/{audited.payment}/",
        f"/accounts/{audited.bob}/",
        f"/audit/batches/?before={audited.batch + 1}",
    ):
        assert f'<a href="{address}">' in text
        assert auditor.get(address).status_code == 200
    assert "<b>mine</b>" not in text
    assert "&lt;b&gt;mine&lt;/b&gt;" in text


def test_an_incremental_audit_says_where_it_went_on(audited: Audited, auditor: Visitor) -> None:
    audit()
    audited.pay(10)
    audit(scope=AuditScope.INCREMENTAL)
    said = plain(auditor.text(f"{RUNS}{AuditRun.objects.latest('id').pk}/"))
    assert "Incremental audit" in said
    assert "what came after transaction 16, where the last clean audit had ended" in said
