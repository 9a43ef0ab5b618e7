"""The books over REST: accounts, entries, holds and transactions, as they stand and as they stood."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from ledger import journal
from ledger.chart import AccountKey, AssetKind, Role
from ledger.drafts import HoldChange, Leg, TransactionDraft
from ledger.models import Account, Entry, HoldEntry, LedgerHead, PartyKind, Transaction
from ledger.money import format_micros
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from tests.api.client import Api
from tests.api.live_market import MarketClock, api_of
from tests.integration.settlement.trading_day import ACTOR, NOW, START, SYMBOL, TradingDay, requests

PARTIES = ("buyer-1", "buyer-2", "provider-1")


@pytest.fixture
def day(stopped_clock: None) -> TradingDay:
    """Two buyers and a provider that traded; one buyer's order still waits; the first is settled."""
    clock: Any = MarketClock()
    day = TradingDay(clock)
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 6, 420)
    day.buy("buyer-2", 4, 420)
    day.buy("buyer-2", 2, 300)
    return day


@pytest.fixture
def auditor(day: TradingDay) -> Api:
    return api_of(register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW), Scope.AUDIT)


def pages(
    api: Api,
    path: str,
    query: dict[str, str] | None = None,
    *,
    limit: int = 500,
    between: Callable[[], None] = lambda: None,
) -> list[Any]:
    """The rows of all pages of a list, with something happening between two pages."""
    rows: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get(path, {"limit": str(limit), **(query or {}), **cursor}).ok()
        rows += page["items"]
        if page["next_cursor"] is None:
            return rows
        cursor = {"cursor": page["next_cursor"]}
        between()


def move(day: TradingDay, giver: str, taker: str, micros: int, reference: str, hold: int = 0) -> int:
    """Money from one party to another; returns the transaction's number."""
    accounts = [AccountKey(day.parties[code].id, day.currency_id, Role.CASH) for code in (giver, taker)]
    legs = tuple(Leg(account, amount) for account, amount in zip(accounts, (-micros, micros), strict=True))
    holds = (HoldChange(accounts[1], hold, "test"),) if hold else ()
    with transaction.atomic():
        draft = TransactionDraft("test", "test", reference, day.clock.now(), legs, holds)
        (posted,) = journal.post([draft], actor=ACTOR, now=day.clock.now())
    return posted.transaction_id


def cash_of(day: TradingDay, code: str) -> Account:
    return Account.objects.get(party=day.parties[code], role=Role.CASH)


def shown(account: Account, amount: int) -> str:
    return format_micros(amount) if account.asset.kind == AssetKind.CURRENCY else str(amount)


def test_accounts_are_told_with_their_figures_as_they_stand(day: TradingDay) -> None:
    for code in PARTIES:
        rows = Account.objects.filter(party=day.parties[code]).select_related("asset").order_by("id")
        listed = pages(api_of(day.parties[code]), "ledger/accounts", limit=2)
        assert listed == [
            {
                "account_id": str(row.pk),
                "party": code,
                "asset": row.asset.code,
                "asset_kind": row.asset.kind,
                "role": row.role,
                "qualifier": row.qualifier,
                "balance": shown(row, row.balance),
                "held": shown(row, row.held),
                "available": None if row.floor is None else shown(row, row.balance - row.held - row.floor),
                "as_of_transaction": None,
                "entries": str(row.seq),
                "hold_entries": str(row.hold_seq),
                "frozen": False,
                "closed": False,
            }
            for row in rows
        ]
        assert {row["role"] for row in listed} > {"cash"}
        for row in listed:
            assert api_of(day.parties[code]).get(f"ledger/accounts/{row['account_id']}").ok() == row
        balances = pages(api_of(day.parties[code]), "balances", limit=1)
        assert balances == [{name: row[name] for name in balances[0]} for row in listed]


def test_lists_of_accounts_are_narrowed(day: TradingDay, auditor: Api) -> None:
    buyer = api_of(day.parties["buyer-1"])
    narrowed: list[tuple[Api, dict[str, str], set[tuple[str, str]]]] = [
        (buyer, {"asset": SYMBOL}, {("buyer-1", "entitlement")}),
        (buyer, {"role": "cash"}, {("buyer-1", "cash")}),
        (buyer, {"role": "obligation"}, set()),
        (buyer, {"party": "provider-1"}, set()),
        (auditor, {"party": "provider-1", "asset": SYMBOL}, {("provider-1", "obligation")}),
        (auditor, {"role": "external"}, {("house", "external")}),
    ]
    for api, query, expected in narrowed:
        found = api.get("ledger/accounts", query).ok()["items"]
        assert {(row["party"], row["role"]) for row in found} == expected, query
    assert len(pages(auditor, "ledger/accounts", limit=3)) == Account.objects.count()


def test_entries_come_in_the_order_of_the_statement_with_their_transactions(day: TradingDay) -> None:
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(40_000))
    day.settle()
    for code in PARTIES:
        api = api_of(day.parties[code])
        for account in Account.objects.filter(party=day.parties[code]).select_related("asset"):
            listed = pages(api, f"ledger/accounts/{account.pk}/entries", limit=2)
            entries = list(Entry.objects.filter(account_id=account.pk).order_by("account_seq"))
            assert [int(row["number"]) for row in listed] == list(range(1, account.seq + 1))
            assert [(row["amount"], row["balance_after"]) for row in listed] == [
                (shown(account, entry.amount), shown(account, entry.balance_after)) for entry in entries
            ]
            for row, entry in zip(listed, entries, strict=True):
                posted = Transaction.objects.get(id=entry.transaction_id)
                assert (row["transaction_id"], row["kind"], row["reference"], row["leg"], row["ref"]) == (
                    str(posted.id),
                    posted.kind,
                    posted.reference,
                    entry.leg,
                    entry.ref,
                )
                assert [row["posted_at"], row["effective_at"]] == [
                    time.isoformat().replace("+00:00", "Z") for time in (posted.posted_at, posted.effective_at)
                ]
            holds = pages(api, f"ledger/accounts/{account.pk}/holds", limit=2)
            assert [row["held_after"] for row in holds] == [
                shown(account, hold.held_after)
                for hold in HoldEntry.objects.filter(account_id=account.pk).order_by("hold_seq")
            ]
            assert len(holds) == account.hold_seq


def test_a_reader_goes_on_from_the_last_number_it_has(day: TradingDay) -> None:
    api, path = api_of(day.parties["buyer-1"]), f"ledger/accounts/{cash_of(day, 'buyer-1').pk}/entries"
    seen = len(api.get(path).ok()["items"])
    number = move(day, "buyer-1", "buyer-2", 5, "one more")
    (fresh,) = api.get(path, {"after": str(seen)}).ok()["items"]
    assert (fresh["number"], fresh["amount"], fresh["transaction_id"]) == (str(seen + 1), "-0.000005", str(number))
    assert len(api.get(path, {"through_transaction": str(number - 1)}).ok()["items"]) == seen
    assert api.get(path, {"after": str(seen), "through_transaction": str(number - 1)}).ok()["items"] == []


def test_a_transaction_shows_a_party_its_own_legs_and_no_others(day: TradingDay, auditor: Api) -> None:
    number = move(day, "buyer-1", "buyer-2", 7_000_000, "between two", hold=3_000_000)
    whole = auditor.get(f"ledger/transactions/{number}").ok()
    assert (whole["id"], whole["kind"], whole["source"], whole["reference"], whole["legs"]) == (
        str(number),
        "test",
        "test",
        "between two",
        2,
    )
    assert whole["leaf"] == bytes(Transaction.objects.get(id=number).leaf).hex()
    assert [(leg["party"], leg["leg"], leg["amount"]) for leg in whole["entries"]] == [
        ("buyer-1", 1, "-7.000000"),
        ("buyer-2", 2, "7.000000"),
    ]
    assert [(hold["party"], hold["position"], hold["delta"], hold["ref"]) for hold in whole["holds"]] == [
        ("buyer-2", 1, "3.000000", "test")
    ]
    for code, other in (("buyer-1", "buyer-2"), ("buyer-2", "buyer-1")):
        own = api_of(day.parties[code]).get(f"ledger/transactions/{number}")
        assert own.ok() == whole | {
            name: [row for row in whole[name] if row["party"] == code] for name in ("entries", "holds")
        }
        assert other.encode() not in own.content
    api_of(day.parties["provider-1"]).get(f"ledger/transactions/{number}").problem(404, "not_found")


def test_a_hold_alone_makes_a_transaction_ones_own(day: TradingDay) -> None:
    key = AccountKey(day.parties["buyer-3"].id, day.currency_id, Role.CASH)
    with transaction.atomic():
        draft = TransactionDraft("test", "test", "hold", NOW, (), (HoldChange(key, 5, "x"),))
        (posted,) = journal.post([draft], actor=ACTOR, now=NOW)
    own = api_of(day.parties["buyer-3"])
    shown_to_it = own.get(f"ledger/transactions/{posted.transaction_id}").ok()
    assert (shown_to_it["entries"], len(shown_to_it["holds"])) == ([], 1)
    assert str(posted.transaction_id) in {row["id"] for row in pages(own, "ledger/transactions")}
    api_of(day.parties["buyer-1"]).get(f"ledger/transactions/{posted.transaction_id}").problem(404, "not_found")


def test_a_reversal_and_what_it_reverses_name_each_other(day: TradingDay, auditor: Api) -> None:
    first = move(day, "buyer-1", "buyer-2", 7, "wrong")
    accounts = [AccountKey(day.parties[code].id, day.currency_id, Role.CASH) for code in ("buyer-1", "buyer-2")]
    draft = TransactionDraft("test", "test", "right", NOW, (Leg(accounts[0], 7), Leg(accounts[1], -7)), reverses=first)
    with transaction.atomic():
        (posted,) = journal.post([draft], actor=ACTOR, now=NOW)
    for api in (auditor, api_of(day.parties["buyer-2"])):
        listed = {row["id"]: row for row in pages(api, "ledger/transactions", limit=1)}
        for number, links in ((first, (None, str(posted.transaction_id))), (posted.transaction_id, (str(first), None))):
            row = api.get(f"ledger/transactions/{number}").ok()
            assert (row["reverses"], row["reversed_by"]) == links
            assert listed[str(number)] == {name: row[name] for name in listed[str(number)]}


def test_transactions_are_listed_newest_first_and_narrowed(day: TradingDay, auditor: Api) -> None:
    listed = pages(auditor, "ledger/transactions", limit=3)
    assert [int(row["id"]) for row in listed] == sorted(Transaction.objects.values_list("id", flat=True), reverse=True)
    for code in PARTIES:
        own = pages(api_of(day.parties[code]), "ledger/transactions", limit=3)
        accounts = set(Account.objects.filter(party=day.parties[code]).values_list("id", flat=True))
        touching = set(Entry.objects.filter(account_id__in=accounts).values_list("transaction_id", flat=True))
        touching |= set(HoldEntry.objects.filter(account_id__in=accounts).values_list("transaction_id", flat=True))
        assert [int(row["id"]) for row in own] == sorted(touching, reverse=True)
        assert own == pages(auditor, "ledger/transactions", {"party": code})
        assert "entries" not in own[0]
    day.clock.at = START
    number = move(day, "buyer-1", "buyer-2", 1, "later")
    narrowed: list[tuple[dict[str, str], list[int]]] = [
        ({"posted_from": START.isoformat()}, [number]),
        ({"posted_from": START.isoformat(), "posted_before": START.isoformat()}, []),
        ({"effective_from": START.isoformat(), "effective_before": "2026-12-02T00:00:00Z"}, [number]),
        ({"source": "test", "reference": "later", "kind": "test"}, [number]),
        ({"source": "test", "reference": "later", "party": "provider-1"}, []),
        ({"party": "nobody"}, []),
    ]
    for query, expected in narrowed:
        assert [int(row["id"]) for row in pages(auditor, "ledger/transactions", query)] == expected, query


def replayed(account: Account, counts: Callable[[Transaction], bool]) -> tuple[str, str]:
    """Balance and held by adding up the amounts of the transactions that count."""
    posted = {row.id: row for row in Transaction.objects.all()}
    balance = sum(e.amount for e in Entry.objects.filter(account_id=account.pk) if counts(posted[e.transaction_id]))
    held = sum(h.delta for h in HoldEntry.objects.filter(account_id=account.pk) if counts(posted[h.transaction_id]))
    return shown(account, balance), shown(account, held)


def test_figures_of_the_past_are_those_that_adding_up_gives(day: TradingDay, auditor: Api) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for step in range(12):
        day.clock.at += timedelta(minutes=dice.randint(0, 9))
        giver, taker = dice.sample(PARTIES, 2)
        move(day, giver, taker, dice.randint(1, 999), f"step {step}")
    last = LedgerHead.objects.get().last_transaction
    accounts = {str(row.pk): row for row in Account.objects.select_related("asset")}
    number = dice.randint(1, last)
    instant = NOW + timedelta(minutes=dice.randint(0, 60))
    asked: list[tuple[dict[str, str], Callable[[Transaction], bool]]] = [
        ({"as_of_transaction": str(number)}, lambda row: row.id <= number),
        ({"as_of_transaction": "0"}, lambda row: False),
        ({"as_of": instant.isoformat()}, lambda row: row.posted_at <= instant),
        ({"as_of": "2027-01-01T00:00:00+08:00"}, lambda row: True),
        ({"as_of_effective": instant.isoformat()}, lambda row: row.effective_at <= instant),
        (
            {"as_of_effective": instant.isoformat(), "as_of_transaction": str(number)},
            lambda row: row.effective_at <= instant and row.id <= number,
        ),
    ]
    for query, counts in asked:
        listed = pages(auditor, "ledger/accounts", query, limit=4)
        assert len(listed) == len(accounts)
        for row in listed:
            assert (row["balance"], row["held"]) == replayed(accounts[row["account_id"]], counts), (query, row)
            assert row["available"] is None
        through = {row["as_of_transaction"] for row in listed}
        assert through == {str(max((row.id for row in Transaction.objects.all() if counts(row)), default=0))} or (
            "as_of_effective" in query
        )
        one = listed[dice.randrange(len(listed))]
        assert auditor.get(f"ledger/accounts/{one['account_id']}", query).ok() == one
        own = api_of(day.parties["buyer-1"]).get("balances", query).ok()["items"]
        assert [row["balance"] for row in own] == [row["balance"] for row in listed if row["party"] == "buyer-1"]


def test_pages_neither_skip_nor_repeat_while_others_post(day: TradingDay, auditor: Api) -> None:
    posted: list[int] = []

    def post() -> None:
        if len(posted) % 8:  # a list that grows with every page would never end
            posted.append(move(day, "buyer-1", "buyer-2", 1, f"meanwhile {len(posted)}", hold=1))

    def start() -> int:
        posted.append(move(day, "buyer-1", "buyer-2", 1, f"before {len(posted)}", hold=1))
        return len(posted)

    for code, kind in (("buyer-1", "entries"), ("buyer-2", "entries"), ("buyer-2", "holds")):
        api, path = api_of(day.parties[code]), f"ledger/accounts/{cash_of(day, code).pk}/{kind}"
        before = start()
        there = len(pages(api, path))
        seen = [row["number"] for row in pages(api, path, limit=1, between=post)]
        assert seen == [str(number) for number in range(1, len(seen) + 1)]
        assert len(seen) == there + len(posted) - before > there
    for api in (auditor, api_of(day.parties["buyer-1"])):
        before = start()
        listed = [row["id"] for row in pages(api, "ledger/transactions")]
        assert [row["id"] for row in pages(api, "ledger/transactions", limit=2, between=post)] == listed
        assert len(posted) > before
    listed = [row["account_id"] for row in pages(auditor, "ledger/accounts")]
    assert [row["account_id"] for row in pages(auditor, "ledger/accounts", limit=2, between=post)] == listed


def test_balances_stay_as_readers_know_them(day: TradingDay) -> None:
    cash, *_ = api_of(day.parties["buyer-1"]).get("balances").ok()["items"]
    assert {"asset", "asset_kind", "role", "qualifier", "balance", "held", "available"} <= set(cash)
    house = api_of(day.parties["house"], Scope.READ, Scope.AUDIT)
    assert {row["role"] for row in pages(house, "balances")} <= {"external", "escrow", "fees", "suspense"}


LEDGER = "ledger/accounts/{account}"
FORGED: list[tuple[str, dict[str, str], int, str]] = [
    *(
        (path, query, 400, code)
        for path in ("ledger/accounts", LEDGER + "/entries", LEDGER + "/holds", "ledger/transactions", "balances")
        for query, code in (
            ({"cursor": "x"}, "invalid_cursor"),
            ({"cursor": "WyIxIiwgIjIiXQ"}, "invalid_cursor"),  # ["1", "2"]
            ({"cursor": "WyItMXgiXQ"}, "invalid_cursor"),  # ["-1x"]
            ({"cursor": "WyI5OTk5OTk5OTk5OTk5OTk5OTk5OTkiXQ"}, "invalid_cursor"),  # ["9999999999999999999999"]
            ({"cursor": "W10"}, "invalid_cursor"),  # []
            ({"cursor": "e30"}, "invalid_cursor"),  # {}
            ({"cursor": "A" * 500}, "invalid_cursor"),
            ({"cursor": "\0"}, "invalid_cursor"),
            ({"limit": "501"}, "invalid_amount"),
            ({"limit": "0"}, "invalid_amount"),
            ({"limit": "1_0"}, "invalid_amount"),
            ({"colour": "red"}, "invalid_request"),
        )
    ),
    *(
        (path, query, 400, code)
        for path in ("ledger/accounts", LEDGER, "balances")
        for query, code in (
            ({"as_of_transaction": "-1"}, "invalid_amount"),
            ({"as_of_transaction": ""}, "invalid_amount"),
            ({"as_of_transaction": "1.5"}, "invalid_amount"),
            ({"as_of_transaction": str(2**63)}, "invalid_amount"),
            ({"as_of": "yesterday"}, "invalid_request"),
            ({"as_of": ""}, "invalid_request"),
            ({"as_of": "0001-01-01T00:00:00+14:00"}, "invalid_request"),
            ({"as_of_effective": "2026-13-01T00:00:00Z"}, "invalid_request"),
            ({"as_of_effective": "2026-12-01T00:00:00Z\0"}, "invalid_request"),
            ({"as_of": "2026-12-01T00:00:00Z", "as_of_transaction": "1"}, "invalid_request"),
        )
    ),
    ("ledger/accounts", {"as_of_transaction": "999999"}, 404, "not_found"),
    ("ledger/accounts", {"role": "treasure"}, 400, "invalid_request"),
    ("ledger/accounts", {"party": "a\0b"}, 400, "invalid_request"),
    (LEDGER, {"limit": "5"}, 400, "invalid_request"),
    (LEDGER + "/entries", {"after": "-1"}, 400, "invalid_request"),
    (LEDGER + "/entries", {"after": str(2**63)}, 400, "invalid_request"),
    (LEDGER + "/entries", {"as_of": "2026-12-01T00:00:00Z"}, 400, "invalid_request"),
    (LEDGER + "/holds", {"through_transaction": "x"}, 400, "invalid_request"),
    ("ledger/transactions", {"posted_from": "soon"}, 400, "invalid_request"),
    ("ledger/transactions", {"reference": "\0"}, 400, "invalid_request"),
    ("ledger/transactions/1", {"party": "buyer-1"}, 400, "invalid_request"),
    (f"ledger/accounts/{2**70}", {}, 404, "not_found"),
    (f"ledger/accounts/{2**70}/entries", {}, 404, "not_found"),
    (f"ledger/transactions/{2**70}", {}, 404, "not_found"),
    ("ledger/transactions/0", {}, 404, "not_found"),
    ("ledger/accounts/-1", {}, 404, "route_not_found"),
    ("ledger/accounts/1e3", {}, 404, "route_not_found"),
]


def test_what_is_forged_or_misspelt_is_refused_with_a_problem(day: TradingDay) -> None:
    api, account = api_of(day.parties["buyer-1"]), cash_of(day, "buyer-1").pk
    for path, query, status, code in FORGED:
        assert api.get(path.format(account=account), query).problem(status, code), (path, query)
    for path in ("ledger/accounts", "ledger/transactions", f"ledger/accounts/{account}/entries"):
        assert api.call("HEAD", path).status == 200
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            api.call(method, path, b"{}").problem(405, "method_not_allowed")
