"""The ledger's pages: when things take effect, what was held, what reverses what, what is signed, and the past."""

from __future__ import annotations

import re
from datetime import timedelta

from django.db import transaction

from ledger import journal
from ledger.chart import AccountKey, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.log.checkpoints import publish_checkpoint
from ledger.models import Account, Entry, HoldEntry
from tests.integration.admin.conftest import Site
from tests.integration.settlement.trading_day import ACTOR, NOW

EFFECTIVE = NOW - timedelta(days=3, hours=1, minutes=23)


def move(site: Site, micros: int, reference: str, *, hold: int = 0, reverses: int | None = None) -> int:
    """From buyer-1 to buyer-2, taking effect days before it is posted."""
    giver, taker = (
        AccountKey(site.day.parties[code].id, site.day.currency_id, Role.CASH) for code in ("buyer-1", "buyer-2")
    )
    draft = TransactionDraft(
        "correction",
        "test",
        reference,
        EFFECTIVE,
        (Leg(giver, -micros), Leg(taker, micros)),
        (HoldChange(giver, hold, "held-for-this"),) if hold else (),
        reverses,
    )
    with transaction.atomic():
        (posted,) = journal.post([draft], actor=ACTOR, now=NOW)
    return posted.transaction_id


def cash(site: Site) -> Account:
    return Account.objects.get(party=site.day.parties["buyer-1"], role="cash")


def figure(text: str, name: str) -> str:
    """A figure at the head of an account's page."""
    found = re.search(rf"<dt>{name}[^<]*</dt><dd>(.*?)</dd>", text)
    assert found, name
    return re.sub(r"<[^>]+>|,", "", found[1])


def test_a_transaction_says_when_it_takes_effect_what_it_held_and_which_checkpoint_signs_it(site: Site) -> None:
    number = move(site, 5_000_000, "one", hold=3_000_000)
    page = f"/audit/journal/{number}/"
    before = site.auditor.text(page)
    assert "2026-11-28 08:37:00 UTC" in before
    assert "held-for-this" in before
    assert "not yet" in before
    checkpoint = publish_checkpoint(now=NOW)
    assert checkpoint is not None
    link = f'href="/checkpoint/{checkpoint.size}"'
    assert link in site.auditor.text(page)
    assert link in site.auditor.text("/audit/batches/")
    assert f"of size {checkpoint.size}" in site.auditor.text("/audit/batches/")
    later = move(site, 1, "later")
    assert "not yet" in site.auditor.text(f"/audit/journal/{later}/")
    assert "not yet" in site.auditor.text("/audit/batches/")
    assert "2026-11-28 08:37:00 UTC" in site.auditor.text("/audit/journal/")


def test_a_reversal_and_what_it_reverses_link_to_each_other(site: Site) -> None:
    wrong = move(site, 5_000_000, "wrong")
    right = move(site, -5_000_000, "right", reverses=wrong)
    for text in (site.auditor.text("/audit/journal/"), site.auditor.text(f"/audit/journal/{right}/")):
        assert f'href="/audit/journal/{wrong}/"' in text
    listed = site.auditor.text("/audit/journal/")
    assert f"reverses {wrong}<" in listed
    assert f"reversed by {right}<" in listed
    assert f'<dd><a href="/audit/journal/{right}/">' in site.auditor.text(f"/audit/journal/{wrong}/")
    assert f"reverses {wrong}" in site.buyer.text(f"/accounts/{cash(site).pk}/")


def test_an_account_shows_the_changes_of_its_holds(site: Site) -> None:
    move(site, 5_000_000, "one", hold=3_000_000)
    account = cash(site)
    text = site.buyer.text(f"/accounts/{account.pk}/?show=holds")
    assert "held-for-this" in text
    assert text.count("<tr>") == 1 + HoldEntry.objects.filter(account_id=account.pk).count()
    assert "held-for-this" not in site.buyer.text(f"/accounts/{account.pk}/")
    assert site.provider.get(f"/accounts/{account.pk}/?show=holds").status_code == 404


def test_an_account_is_shown_as_it_stood(site: Site) -> None:
    account = cash(site)
    stood = figure(site.buyer.text(f"/accounts/{account.pk}/"), "Balance")
    last = move(site, 5_000_000, "one", hold=3_000_000) - 1
    page = f"/accounts/{account.pk}/"
    now, then = site.buyer.text(page), site.buyer.text(f"{page}?transaction={last}")
    assert (figure(then, "Balance"), figure(then, "Held")) == (stood, "0.000000")
    assert figure(now, "Held") == "3.000000"
    assert figure(now, "Balance") != stood
    assert f"after transaction {last}" in then
    assert "Free" not in then
    entries = Entry.objects.filter(account_id=account.pk, transaction_id__lte=last).count()
    assert then.count("<tr>") == 1 + entries == now.count("<tr>") - 1
    assert "held-for-this" not in site.buyer.text(f"{page}?transaction={last}&show=holds")
    for query, through in (("at=2026-12-01T09:59", 0), ("at=2026-12-01T10:00", last + 1), ("transaction=0", 0)):
        assert f"after transaction {through}" in site.buyer.text(f"{page}?{query}"), query
    for query, complaint in (
        ("transaction=99999", "the last is"),
        ("transaction=-1", "greater than or equal to 0"),
        ("transaction=x", "Enter a whole number"),
        (f"transaction={2**70}", "less than or equal"),
        ("at=yesterday", "Enter a valid date"),
    ):
        text = site.buyer.text(f"{page}?{query}")
        assert complaint in text, query
        assert figure(text, "Balance") == figure(now, "Balance")
