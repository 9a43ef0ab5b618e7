"""The pages of statements and runs: long ones a page at a time, each form as a file, progress with what went wrong."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse

from config.clock import SimulatedClock
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.selectors.parties import get_currency
from settlement.models import (
    AuditorKey,
    JobState,
    JobStep,
    RunContract,
    RunKind,
    RunState,
    SettlementJob,
    SettlementRun,
    Statement,
)
from settlement.selectors.statement_files import FILE_FORMS
from tests.integration.admin.conftest import Site
from tests.integration.settlement.line_rows import insert_job, insert_line, published_run
from tests.integration.settlement.stated_rows import keep
from tests.integration.settlement.trading_day import END, NOW, START
from tests.unit.settlement.sample_statements_v2 import EXCHANGE, Sample, sample
from tests.unit.settlement.test_readable import first_form


def stated(site: Site, content: Sample, kind: RunKind = RunKind.INITIAL) -> Statement:
    run = published_run("CNY", START, END, kind)
    return keep(run, site.day.parties["provider-1"], content)


def records_shown(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"/records/(\d+)/\">", text)]


def test_a_long_statement_reads_totals_first_and_lines_a_hundred_a_page(site: Site) -> None:
    statement = stated(site, sample(250, metering=30, splits=60))
    page = f"/statements/{statement.pk}/"
    first = site.provider.text(page)
    assert first.index("By kind of line") < first.index("Cash account") < first.index('id="lines"')
    assert records_shown(first) == list(range(1, 101))
    assert "1 to 100 of 250" in first
    assert 'href="?lines=2#lines" rel="next"' in first
    assert records_shown(site.auditor.text(f"{page}?lines=2")) == list(range(101, 201))
    last = site.provider.text(f"{page}?lines=3")
    assert records_shown(last) == list(range(201, 251))
    assert 'rel="next"' not in last.partition('id="meters"')[0]
    for wrong in ("?lines=99", "?lines=0", "?lines=-1", "?lines=x", "?lines=99999999999999"):
        assert records_shown(site.provider.text(page + wrong)), wrong
    meters = site.provider.text(f"{page}?metering=2")
    assert "Positions 21 to 30 of 30" in meters
    assert "provider-1 and buyer-29" in meters
    assert "101 to 120 of 120" in site.provider.text(f"{page}?splits=2")


def test_a_short_statement_shows_everything_on_one_page(site: Site) -> None:
    text = site.provider.text(f"/statements/{stated(site, sample(12)).pk}/")
    assert "All 12" in text
    assert "pager" not in text
    assert "below its class: availability" in text
    for words in ("By kind of token", "How the reports compare", "How it was shared", "As one payment"):
        assert words in text
    assert "✗ Not verified" in text  # signed by a key that is not published


def test_an_indicative_statement_says_what_it_is(site: Site) -> None:
    statement = stated(site, sample(4, kind="indicative"), RunKind.INDICATIVE)
    text = site.provider.text(f"/statements/{statement.pk}/")
    assert "indicative: nothing was posted" in text
    assert "stand outside the chain" in text
    name = f"provider-1-CNY-{statement.run.key.replace('/', '-')}.jws.json"
    assert name in site.provider.get(f"/statements/{statement.pk}/file").headers["Content-Disposition"]
    assert "None" not in re.sub(r"<[^>]*>", " ", text)
    assert "indicative" in site.provider.text("/statements/").lower()


def test_every_form_is_a_file_of_the_partys_own(site: Site) -> None:
    content = sample(20)
    statement = stated(site, content)
    files = {}
    for code, form in FILE_FORMS.items():
        address = reverse("statement-form", args=(statement.pk, code))
        response = site.provider.get(address)
        assert response.status_code == 200
        assert response.headers["Content-Type"] == form.media_type
        assert f"provider-1-CNY-000002.{form.extension}" in response.headers["Content-Disposition"]
        files[code] = response.getvalue()
        assert site.other_provider.get(address).status_code == 404
        assert site.nobody.get(address).status_code == 302
        assert address in site.provider.text(f"/statements/{statement.pk}/") or code == "jws"
    assert files["jws"] == statement.jws.encode()
    assert files["jsonl"] == b"".join(record + b"\n" for record in content.records)
    assert files["pdf"].startswith(b"%PDF-")
    assert site.provider.get(reverse("statement-form", args=(statement.pk, "exe"))).status_code == 404


def test_one_record_stands_alone_with_its_path(site: Site) -> None:
    content = sample(20)
    statement = stated(site, content)
    text = site.provider.text(f"/statements/{statement.pk}/records/9/")
    shown = [bytes.fromhex(each) for each in re.findall(r'<code class="whole">([0-9a-f]{64})</code>', text)]
    leaf, *path, root = shown
    assert leaf == leaf_hash(content.records[8])
    assert root.hex() == content.core["records"]["root"]
    assert verify_inclusion(leaf, 8, len(content.records), path, root)
    for number in (0, len(content.records) + 1):
        assert site.provider.get(f"/statements/{statement.pk}/records/{number}/").status_code == 404
    assert site.other_provider.get(f"/statements/{statement.pk}/records/9/").status_code == 404


def test_a_statement_of_the_first_form_is_still_shown(site: Site) -> None:
    run = published_run("CNY", START, END)
    statement = Statement.objects.create(
        run=run, party=site.day.parties["buyer-1"], currency=run.currency, sequence=1, core_digest=bytes(32),
        jws=first_form(), issued_at=NOW,
    )  # fmt: skip
    text = site.buyer.text(f"/statements/{statement.pk}/")
    for words in ("Delivered tokens", "Refund for unused tokens", "What the meters said", "80,000.500", "11" * 32):
        assert words in text
    assert records_shown(text) == []  # its lines have no file, so no path either
    assert site.buyer.get(f"/statements/{statement.pk}/records/1/").status_code == 404
    for code in FILE_FORMS:
        assert site.buyer.get(reverse("statement-form", args=(statement.pk, code))).getvalue(), code


def test_a_line_can_be_disputed_by_its_party_until_the_deadline(site: Site) -> None:
    page = f"/statements/{stated(site, sample(3)).pk}/"
    link = "?statement="
    assert link in site.provider.text(page)
    assert link not in site.auditor.text(page)
    SimulatedClock().set(START + timedelta(days=11))
    assert link not in site.provider.text(page)


def run_at_work(site: Site) -> SettlementRun:
    """A run with a shard settled, one that failed, and a statement to come."""
    run = SettlementRun.objects.create(
        currency=get_currency("CNY"), period_start=START, period_end=END, kind=RunKind.FINAL, rules_version="test",
        usage_through=0, created_at=END,
    )  # fmt: skip
    RunContract.objects.create(run=run, contract_id=site.day.contract.pk, shard=1, place=1)
    jobs: list[dict[str, Any]] = [
        {"step": JobStep.SETTLE, "subject_id": 1, "state": JobState.DONE, "attempt": 1},
        {"step": JobStep.SETTLE, "subject_id": 2, "state": JobState.FAILED, "attempt": 5, "error": "No <room> left."},
        {"step": JobStep.STATE, "subject_id": site.day.parties["buyer-1"].pk},
    ]
    for job in jobs:
        insert_job(run, **job)
    return run


def test_a_run_shows_its_progress_by_step_and_what_went_wrong(site: Site) -> None:
    run = run_at_work(site)
    for visitor in (site.operator, site.auditor):
        text = visitor.text(f"/audit/runs/{run.pk}/")
        assert "1 of 2" in text
        assert "0 of 1" in text
        assert "No &lt;room&gt; left." in text
        assert site.day.contract.symbol in text
        assert f'hx-get="/audit/runs/{run.pk}/progress"' in text
        assert "Settle contracts 1/2" in visitor.text("/audit/runs/")
    part = site.operator.text(f"/audit/runs/{run.pk}/progress")
    assert "No &lt;room&gt; left." in part
    assert "<html" not in part
    for state in (RunState.STATING, RunState.SIGNING):
        SettlementRun.objects.filter(pk=run.pk).update(state=state)
    SettlementRun.objects.filter(pk=run.pk).update(state=RunState.PUBLISHED, published_at=NOW)
    assert "hx-get" not in site.operator.text(f"/audit/runs/{run.pk}/progress")
    for address in ("", "progress", "lines/"):
        assert site.provider.get(f"/audit/runs/{run.pk}/{address}").status_code == 403
        assert site.operator.get(f"/audit/runs/999999/{address}").status_code == 404


def test_a_failed_job_is_sent_again_by_an_operator_alone(site: Site) -> None:
    run_at_work(site)
    job = SettlementJob.objects.get(state=JobState.FAILED)
    address = reverse("admin:settlement_settlementjob_retry", args=(job.pk,))
    assert site.auditor.get(address).status_code == 403
    assert "No &lt;room&gt; left." in site.operator.text(
        reverse("admin:settlement_settlementjob_change", args=(job.pk,))
    )
    assert site.operator.post(address, reason="There is room again.").status_code == 302
    job.refresh_from_db()
    assert (job.state, job.attempt) == (JobState.DUE, 0)


def test_the_lines_of_a_run_are_read_a_party_at_a_time(site: Site) -> None:
    run = published_run("CNY", START, END)
    provider, buyer = (site.day.parties[code] for code in ("provider-1", "buyer-1"))
    for place in range(130):
        insert_line(run, provider, site.day.contract.pk, "delivered", place, counterparty=buyer, reference=f"r{place}")
    insert_line(run, buyer, site.day.contract.pk, "overage", -7)
    page = f"/audit/runs/{run.pk}/lines/"
    own = site.auditor.text(page)  # the first party by code
    assert "Lines of buyer-1" in own
    assert "nothing was posted" in own
    first = site.auditor.text(f"{page}?party=provider-1")
    assert "r99<" in first
    assert "r100<" not in first
    following = re.search(r'href="(\?[^"]*)" rel="next"', first)
    assert following
    rest = site.auditor.text(page + following[1].replace("&amp;", "&"))
    assert "r100<" in rest
    assert "r129<" in rest
    assert 'rel="next"' not in rest


def test_an_operator_registers_and_revokes_an_auditors_key(site: Site) -> None:
    add = reverse("admin:settlement_auditorkey_add")
    key = EXCHANGE.public_key.public_bytes_raw()
    assert site.auditor.get(add).status_code == 403
    refused = site.operator.post(add, auditor="Audit AG", public_key="not a key")
    assert "Ed25519" in refused.content.decode()
    text = base64.urlsafe_b64encode(key).decode().rstrip("=")
    assert site.operator.post(add, auditor="Audit AG", public_key=text).status_code == 302
    registered = AuditorKey.objects.get()
    assert (registered.auditor, registered.kid) == ("Audit AG", EXCHANGE.kid)
    revoke = reverse("admin:settlement_auditorkey_revoke", args=(registered.kid,))
    assert site.operator.post(revoke, reason="").status_code == 422
    assert site.operator.post(revoke, reason="Lost.").status_code == 302
    registered.refresh_from_db()
    assert registered.revoked_at is not None
    assert "Audit AG" in site.auditor.text(reverse("admin:settlement_auditorkey_changelist"))


@pytest.mark.parametrize("name", ["settlement_statementopinion", "settlement_auditorkey", "settlement_settlementjob"])
def test_tables_of_auditors_and_jobs_are_for_those_who_read_everything(site: Site, name: str) -> None:
    for visitor, status in ((site.auditor, 200), (site.operator, 200), (site.provider, 403), (site.nobody, 302)):
        assert visitor.get(reverse(f"admin:{name}_changelist")).status_code == status
