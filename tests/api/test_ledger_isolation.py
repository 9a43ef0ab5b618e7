"""Who reads whose books: every address of the ledger, walked by everyone who might try."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from exchange.commands.place_order import PlaceOrder, place_order
from exchange.matching.types import Side
from exchange.sequencer.loop import drain
from ledger.api.urls import urlpatterns
from ledger.log.checkpoints import publish_checkpoint
from ledger.log.seals import seal_ended_periods
from ledger.models import Account, AuditRun, AuditScope, Entry, HoldEntry, Party, PartyKind, Transaction
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from tests.api.client import Answer, Api
from tests.api.live_market import MarketClock, api_of, api_of_old
from tests.integration.settlement.trading_day import ACTOR, NOW, START, TradingDay, requests

TOMORROW = NOW + timedelta(days=1)
NONE = 2**40


@pytest.fixture
def day(stopped_clock: None) -> TradingDay:
    """Trades of two buyers with two providers, orders that wait, one window settled; all of it sealed and signed."""
    clock: Any = MarketClock()
    day = TradingDay(clock)
    day.sell("provider-1", 8, 420)
    day.sell("provider-2", 8, 430)
    day.buy("buyer-1", 6, 420)
    day.buy("buyer-2", 4, 430)
    day.buy("buyer-2", 2, 300)
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(40_000))
    day.settle()
    seal_ended_periods(actor=ACTOR, now=TOMORROW)
    publish_checkpoint(now=TOMORROW)
    day.parties["auditor"] = register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW)
    return day


def readers(day: TradingDay) -> dict[str, Api]:
    """Those who read everything."""
    return {
        "auditor": api_of(day.parties["auditor"], Scope.AUDIT),
        "house": api_of(day.parties["house"], Scope.READ, Scope.AUDIT),
    }


def strangers(day: TradingDay) -> dict[str, Api]:
    """Those with a good key and nothing to do with buyer-1's deposit but having one of their own."""
    parties = {code: api_of(day.parties[code]) for code in ("buyer-2", "buyer-3", "provider-1", "power-works")}
    return parties | {
        "buyer-2 with every scope": api_of_old(day.parties["buyer-2"], *Scope),
        "provider-1 with an auditor's scopes": api_of_old(day.parties["provider-1"], Scope.READ, Scope.AUDIT),
        "the auditor without the scope": api_of(day.parties["auditor"], Scope.READ),
    }


def addresses(account: int, number: int) -> dict[str, str]:
    """Everything about one account and one transaction, by route."""
    return {
        "ledger/accounts/<int:id>": f"ledger/accounts/{account}",
        "ledger/accounts/<int:id>/entries": f"ledger/accounts/{account}/entries",
        "ledger/accounts/<int:id>/holds": f"ledger/accounts/{account}/holds",
        "ledger/transactions/<int:id>": f"ledger/transactions/{number}",
        "ledger/transactions/<int:id>/proof": f"ledger/transactions/{number}/proof",
        "ledger/seals/<period:period>/proof": f"ledger/seals/2026-12-01/proof?account={account}",
    }


LISTS = {"ledger/accounts", "ledger/transactions"}
AUDITS = {"ledger/audit-runs": "ledger/audit-runs", "ledger/audit-runs/<int:id>": "ledger/audit-runs/{run}"}
FOR_KEYS = {"ledger/seals"}
FOR_ALL = {"ledger/checkpoints": {}, "ledger/log/consistency": {"first": "1", "second": "1"}}


def test_every_address_of_the_ledger_is_walked_here() -> None:
    routes = {str(found.pattern) for found in urlpatterns}
    walked = {*addresses(1, 1), *LISTS, *AUDITS, *FOR_KEYS, *FOR_ALL}
    assert {route for route in routes if route.startswith("ledger/")} == walked


def get(api: Api, address: str) -> Answer:
    path, _, query = address.partition("?")
    return api.get(path, dict([query.split("=")]) if query else {})


def test_what_belongs_to_another_is_answered_like_what_does_not_exist(day: TradingDay) -> None:
    account = Account.objects.get(party=day.parties["buyer-1"], role="cash").pk
    number = Entry.objects.get(account_id=account, account_seq=1).transaction_id
    nothing = addresses(NONE, NONE)
    for route, address in addresses(account, number).items():
        get(api_of(day.parties["buyer-1"]), address).ok()
        for reader in readers(day).values():
            get(reader, address).ok()
        for name, stranger in strangers(day).items():
            refused = get(stranger, address).problem(404, "not_found")
            unknown = get(stranger, nothing[route]).problem(404, "not_found")
            assert plain(refused, account, number) == plain(unknown, NONE, NONE), (name, route)


def plain(problem: dict[str, Any], *numbers: int) -> str:
    """A problem without the numbers that were asked for."""
    return re.sub("|".join(rf"\b{number}\b" for number in numbers), "#", str(sorted(problem.items())))


def test_without_a_key_or_with_a_meters_nothing_is_read(day: TradingDay) -> None:
    run = audit_run().pk
    audits = [path.format(run=run) for path in AUDITS.values()]
    closed = [*addresses(1, 1).values(), *LISTS, *FOR_KEYS, "balances", *audits]
    meter, revoked = api_of(day.parties["buyer-1"], Scope.METER), Api("tb_000000000000_" + "0" * 64)
    for address in (*closed, *addresses(NONE, NONE).values()):
        get(Api(), address).problem(401, "not_authenticated")
        get(revoked, address).problem(401, "not_authenticated")
        get(meter, address).problem(403, "not_allowed")
    for path, query in FOR_ALL.items():
        for anyone in (Api(), meter, revoked):
            assert anyone.get(path, query).status in (200, 404), path


def audit_run() -> AuditRun:
    return AuditRun.objects.create(
        scope=AuditScope.FULL,
        actor=ACTOR,
        started_at=NOW,
        finished_at=NOW,
        from_transaction=1,
        through_transaction=1,
        through_batch=1,
        entries=2,
        findings=0,
        report=[],
    )


def test_audits_are_read_by_those_who_read_everything(day: TradingDay) -> None:
    run = audit_run().pk
    for path in AUDITS.values():
        for reader in readers(day).values():
            assert reader.get(path.format(run=run)).status == 200
        for name, stranger in strangers(day).items():
            assert stranger.get(path.format(run=run)).problem(403, "not_allowed"), name
            assert stranger.get(path.format(run=NONE)).problem(403, "not_allowed"), name


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """All members of all objects in a JSON value."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield name, below
            yield from members(below)
    elif isinstance(value, list):
        for below in value:
            yield from members(below)


def own_books(party: Party) -> tuple[set[int], set[int]]:
    """A party's accounts and the transactions that touch them."""
    accounts = set(Account.objects.filter(party=party).values_list("id", flat=True))
    numbers: set[int] = set()
    for rows in (Entry.objects.all(), HoldEntry.objects.all()):
        numbers |= set(rows.filter(account_id__in=accounts).values_list("transaction_id", flat=True))
    return accounts, numbers


def test_a_party_reads_all_of_its_own_books_and_nothing_else(day: TradingDay) -> None:
    for code in ("buyer-1", "buyer-2", "provider-1", "provider-2", "power-works", "house"):
        walk(day, code)


def walk(day: TradingDay, code: str) -> None:
    """Every account and transaction there is, asked for by one party."""
    api = api_of(day.parties[code])
    accounts, numbers = own_books(day.parties[code])
    assert accounts
    answers = []
    for account in Account.objects.values_list("id", flat=True):
        found = [get(api, address) for route, address in addresses(account, 1).items() if "accounts" in route]
        assert {answer.status for answer in found} == {200 if account in accounts else 404}, (code, account)
        answers += found
    for number in Transaction.objects.values_list("id", flat=True):
        found = [get(api, address) for route, address in addresses(1, number).items() if "transactions" in route]
        assert {answer.status for answer in found} == {200 if number in numbers else 404}, (code, number)
        answers += found
    listed = {name: api.get(name, {"limit": "500"}) for name in (*LISTS, "balances")}
    assert {int(row["account_id"]) for row in listed["ledger/accounts"].body["items"]} == accounts
    assert {int(row["account_id"]) for row in listed["balances"].body["items"]} == accounts
    assert {int(row["id"]) for row in listed["ledger/transactions"].body["items"]} == numbers
    for answer in (*answers, *listed.values()):
        if answer.status == 200:
            for name, value in members(answer.body):
                assert name != "party" or value == code
                assert name not in ("account_id", "account") or int(value) in accounts
                assert name != "transaction_id" or int(value) in numbers


def test_a_party_filter_opens_nothing_that_is_closed(day: TradingDay) -> None:
    for name, stranger in strangers(day).items():
        for path in sorted(LISTS):
            of_another = stranger.get(path, {"party": "buyer-1"}).ok()
            assert of_another == stranger.get(path, {"party": "nobody"}).ok(), (name, path)
            assert of_another["items"] == [], (name, path)


def test_nobody_learns_who_shared_a_batch_with_them(day: TradingDay) -> None:
    """One buyer's order rests in the batch in which the other's is filled: one transaction of the journal."""
    window = day.list_window(START + timedelta(hours=3))
    day.sweep_contracts()
    day.sell("provider-1", 8, 420, window.delivery_start)
    for code, price in (("buyer-2", 300), ("buyer-1", 420)):
        order = PlaceOrder(day.parties[code].id, window.symbol, Side.BUY, price, 1)
        place_order(order, actor=ACTOR, now=day.clock.at)
    drain(day.clock)
    shared = str(Transaction.objects.latest("id").pk)
    for own, other in (("buyer-2", "buyer-1"), ("buyer-1", "buyer-2"), ("buyer-2", "provider-1")):
        api = api_of(day.parties[own])
        assert shared in listed(api, own), own
        assert listed(api, own) == listed(api)
        assert listed(api, other) == set()
    for reader in readers(day).values():
        assert shared in listed(reader, "buyer-1") & listed(reader, "buyer-2")


def listed(api: Api, party: str | None = None) -> set[str]:
    """The transactions that a caller is told, of a party if one is named."""
    query = {"limit": "500"} | ({} if party is None else {"party": party})
    return {row["id"] for row in api.get("ledger/transactions", query).ok()["items"]}
