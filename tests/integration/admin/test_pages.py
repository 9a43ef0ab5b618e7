"""The market's, the parties' and the auditor's pages: who may open them, what they say, and what they load."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest
from django.db import connections
from django.urls import reverse

from config.environment import CHECKOUT
from exchange.models import Contract
from ledger.keys.ring import public_jwks
from ledger.keys.rotation import prepare_next_key, rotate
from ledger.log.checkpoints import publish_checkpoint
from ledger.models import Account, Batch, Transaction
from ledger.web import newest_first
from settlement.models import SettlementRun, Statement
from settlement.statements.verify import verify
from tests.integration.admin.conftest import Site
from tests.integration.admin.people import PASSWORD
from tests.integration.settlement.trading_day import CODE, SYMBOL

PUBLIC = ("/", f"/products/{CODE}/", f"/contracts/{SYMBOL}/")
OF_AUDIT = ("/audit/", "/audit/runs/", "/audit/journal/", "/audit/batches/", "/audit/checks/", "/audit/actions/")
OF_ADMIN = (
    "/admin/",
    "/admin/exchange/offer/",
    "/admin/exchange/offer/add/",
    "/admin/exchange/capacitydeclaration/add/",
    "/admin/exchange/contract/obligations/",
    "/admin/settlement/shareschedule/add/",
)
LOADS = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "form": "action",
    "use": "href",
}


class Page(HTMLParser):
    """What a page loads, and whether someone who does not see it finds their way."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.headings: list[str] = []
        self.labelled: set[str] = set()
        self.fields: set[str] = set()
        self.headers_without_scope = 0
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if (address := values.get(LOADS.get(tag, ""))) is not None:
            self.loads.append(address)
        if tag == "script" and "src" not in values:
            self.inline.append("script")
        self.inline += [name for name in values if name == "style" or re.fullmatch(r"on[a-z]+", name)]
        if re.fullmatch("h[1-3]", tag):
            self.headings.append(tag)
        if tag == "label" and values.get("for"):
            self.labelled.add(str(values["for"]))
        if tag in ("input", "select", "textarea") and values.get("type") not in ("hidden", "submit"):
            self.fields.add(values.get("id") or f"unnamed {tag}")
        if tag == "th" and "scope" not in values:
            self.headers_without_scope += 1


def every_page(site: Site) -> dict[str, str]:
    """The text of every page of ours, as somebody who may see it."""
    contract = Contract.objects.get(symbol=SYMBOL)
    cash = Account.objects.filter(party=site.day.parties["buyer-1"], role="cash").get()
    pages = {path: site.nobody.text(path) for path in PUBLIC}
    more = [
        f"/audit/runs/{SettlementRun.objects.get().pk}/",
        f"/audit/journal/{Transaction.objects.latest('id').pk}/",
        f"/accounts/{cash.pk}/",
        *(f"/statements/{statement.pk}/" for statement in Statement.objects.all()),
    ]
    pages |= {path: site.auditor.text(path) for path in (*OF_AUDIT, *more)}
    pages |= {f"{path} of a buyer": site.buyer.text(path) for path in ("/statements/", "/admin/")}
    pages |= {path: site.provider.text(path) for path in OF_ADMIN}
    operators = (
        f"/admin/exchange/contract/{contract.pk}/change/",
        "/admin/exchange/product/add/",
        "/admin/ledger/party/",
    )
    return pages | {path: site.operator.text(path) for path in operators}


def test_no_page_loads_anything_from_outside(settled: Site) -> None:
    for path, text in every_page(settled).items():
        for address in Page(text).loads:
            assert re.match(r"/(?!/)|\?|#|$", address), (path, address)
    for asset in Path(CHECKOUT).glob("*/static/**/*.*"):
        if asset.suffix in (".css", ".js"):
            assert not re.search(r"(https?:)?//\w+\.", asset.read_text()), asset


def test_every_link_leads_somewhere(settled: Site) -> None:
    linked: dict[str, str] = {}
    for path in (*PUBLIC, *OF_AUDIT):
        for tag, values in Page(settled.auditor.text(path)).tags:
            if tag == "a" and (address := values.get("href")):
                linked[urljoin(path, address).partition("#")[0]] = path
    assert "/api/docs" in linked
    for address, path in linked.items():
        assert settled.auditor.get(address).status_code in (200, 302), (address, path)


def test_our_own_pages_need_no_inline_script_or_style_and_are_not_allowed_any(settled: Site) -> None:
    for path, text in every_page(settled).items():
        if not path.startswith("/admin/"):
            assert not Page(text).inline, path
    policy = settled.nobody.get("/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "unsafe-inline" not in re.sub(
        "style-src[^;]*", "", settled.nobody.get("/admin/login/")["Content-Security-Policy"]
    )


def test_pages_can_be_used_without_seeing_them(settled: Site) -> None:
    for path, text in every_page(settled).items():
        page = Page(text)
        assert page.headings.count("h1") == 1, path
        assert ("html", "en") in [(tag, str(values.get("lang", ""))[:2]) for tag, values in page.tags], path
        if path.startswith("/admin/ledger") or path == "/admin/exchange/offer/":
            continue  # tables drawn by the admin's own templates
        assert not page.headers_without_scope, path
        if not path.startswith("/admin/"):
            assert page.headings[0] == "h1", path
            assert 'class="skip" href="#content"' in text, path
        ours = {name for name in page.fields if name.startswith("id_") or not path.startswith("/admin/")}
        assert {name for name in ours if not re.search(r"_\d+$", name)} <= page.labelled, path


@pytest.mark.parametrize("path", OF_AUDIT)
def test_audit_pages_are_for_those_who_read_everything(settled: Site, path: str) -> None:
    assert settled.nobody.get(path).headers["Location"] == f"/admin/login/?next={path}"
    assert settled.provider.get(path).status_code == 403
    assert "You may not see this" in settled.buyer.get(path).content.decode()
    assert settled.operator.get(path).status_code == 200
    assert settled.auditor.client.post(path).status_code == 405


def test_the_market_shows_prices_and_no_names(site: Site) -> None:
    for path in PUBLIC:
        text = site.nobody.text(path)
        assert "4.30" in text, path  # the best ask
        assert "4.20" in text, path  # the last trade
        for code in ("buyer-1", "buyer-2"):
            assert code not in text, (path, code)
    ladder = site.nobody.text(f"/contracts/{SYMBOL}/")
    assert re.search(r'bid">4.00</td><td class="number">3</td>', ladder)
    assert re.search(r'ask">4.20</td><td class="number">2</td>', ladder)
    assert "provider-1" not in ladder
    assert "provider-1" in site.nobody.text(f"/products/{CODE}/")  # offers are public, orders are not
    assert 'aria-label="Depth of the book: 3 lots bid' in ladder


def test_unknown_addresses_lead_to_a_page(site: Site) -> None:
    for path in ("/contracts/NONE@20261201T14/1H/", "/products/NONE/", "/nowhere", "/audit/journal/999999/"):
        response = site.auditor.get(path)
        assert response.status_code == 404, path
        assert "There is nothing here" in response.content.decode(), path
    assert site.nobody.get("/statements/1/").status_code == 302


def test_a_statement_is_readable_and_verified(settled: Site) -> None:
    statement = Statement.objects.get(party=settled.day.parties["buyer-1"])
    for visitor in (settled.buyer, settled.auditor):
        text = visitor.text(f"/statements/{statement.pk}/")
        assert "✓ Verified" in text
        for words in ("Signed by a published key", "Every record is there", "cannot be rewritten unseen"):
            assert words in text
        assert 'class="failed"' not in text
        assert "By kind of token" in text
        assert "How the reports compare" in text
        assert "Delivered tokens" in text
        assert "Refund for tokens not delivered" in text
        assert "40,000.000" in text  # what both meters said
        assert bytes(statement.core_digest).hex() in text
    assert settled.provider.get(f"/statements/{statement.pk}/").status_code == 404
    file = settled.buyer.get(f"/statements/{statement.pk}/file")
    signed = file.getvalue()
    assert signed == statement.jws.encode()
    records = settled.buyer.get(f"/statements/{statement.pk}/files/jsonl").getvalue()
    assert verify(signed, json.dumps(public_jwks()).encode(), records=records).ok


def test_a_statement_by_a_key_that_left_use_is_verified_by_a_newer_proof(settled: Site) -> None:
    statement = Statement.objects.get(party=settled.day.parties["buyer-1"])
    later = settled.day.clock.at + timedelta(days=1)
    prepare_next_key(actor="olga", now=later)
    rotate(actor="olga", now=later)
    assert "✗ Not verified" in settled.buyer.text(f"/statements/{statement.pk}/")  # until a checkpoint by the new key
    publish_checkpoint(now=later)
    text = settled.buyer.text(f"/statements/{statement.pk}/")
    assert "✓ Verified" in text
    assert ": not checked" in text  # nobody kept a checkpoint here


def test_a_statement_changed_behind_our_back_is_not_verified(settled: Site) -> None:
    statement = Statement.objects.get(party=settled.day.parties["buyer-1"])
    spoilt = (statement.jws.replace('"signature":"', '"signature":"AAAA', 1), "not even JSON")
    for jws in spoilt:
        with connections["owner"].cursor() as cursor:  # who owns the table can do anything to it
            cursor.execute("ALTER TABLE settlement_statement DISABLE TRIGGER USER")
            cursor.execute("UPDATE settlement_statement SET jws = %s WHERE id = %s", [jws, statement.pk])
            cursor.execute("ALTER TABLE settlement_statement ENABLE TRIGGER USER")
        text = settled.auditor.text(f"/statements/{statement.pk}/")
        assert "✗ Not verified" in text
        assert 'class="failed"' in text
        assert "✓ Verified" not in text


def test_the_journal_is_paged_and_shows_balanced_entries(settled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_first, "__kwdefaults__", {"size": 5})
    seen: list[int] = []
    path = "/audit/journal/"
    while path:
        text = settled.auditor.text(path)
        seen += [int(number) for number in re.findall(r'href="/audit/journal/(\d+)/"', text)]
        older = re.search(r'href="(\?[^"]*before=\d+)" rel="next"', text)
        path = f"/audit/journal/{older[1]}" if older else ""
    assert seen == list(Transaction.objects.order_by("-id").values_list("id", flat=True))
    clearing = Transaction.objects.filter(kind="clearing").latest("id")
    text = settled.auditor.text(f"/audit/journal/{clearing.pk}/")
    assert bytes(Batch.objects.get(no=clearing.batch_no).root).hex() in text
    only = settled.auditor.text("/audit/journal/?kind=deposit")
    assert "clearing" not in re.sub(r"<header.*?</header>", "", only, flags=re.DOTALL)


def test_an_account_belongs_to_its_party(settled: Site) -> None:
    cash = Account.objects.filter(party=settled.day.parties["buyer-1"], role="cash").get()
    page = f"/accounts/{cash.pk}/"
    assert "first buyer-1" in settled.buyer.text(page)
    assert settled.provider.get(page).status_code == 404
    assert settled.auditor.get(page).status_code == 200
    assert settled.nobody.get(page).status_code == 302


def test_obligations_say_what_is_sold_free_and_pledged(site: Site) -> None:
    text = site.provider.text("/admin/exchange/contract/obligations/")
    assert "3,600,000" in text  # capacity: 1,000 tokens/s for an hour
    assert "60,000" in text  # 6 lots of 10,000 sold
    assert "20,000" in text  # 2 on offer
    assert "3,520,000" in text
    assert "0.80" in text  # 8 bonds of 0.1
    assert "provider-2" not in text
    assert site.buyer.get("/admin/exchange/contract/obligations/").status_code == 403
    assert "provider-2" in site.operator.text("/admin/exchange/contract/obligations/")


def test_logging_in_leads_to_the_start_page(site: Site) -> None:
    response = site.nobody.post(reverse("admin:login"), username="pia", password=PASSWORD)
    assert response.headers["Location"] == "/admin/"
    assert "Next windows" in site.provider.text("/admin/")
    assert "Positions ahead" in site.buyer.text("/admin/")
    assert "Settlement runs" in site.auditor.text("/admin/")
    assert "Post an offer" not in site.auditor.text("/admin/")
