"""Netting sets: what they group, once, and what the audit says of them."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from ledger.chart import Role
from ledger.models import Account, Entry, Transaction
from settlement.models import NettedParty, NettedRun, NettingSet, RunKind, RunState, SettlementRun
from settlement.netting import net
from settlement.payments.errors import NothingToNet
from settlement.payments.netting_sets import make_netting_set, unnetted_runs
from settlement.runs.sweep import sweep
from tests.audits import audit, findings, found_by, tamper
from tests.conftest import DatabaseUrls
from tests.integration.settlement.disputed_day import disputed_day
from tests.integration.settlement.line_rows import audit_but_lines, closed_run, insert_line, published_run
from tests.integration.settlement.payment_day import VALUE_DATE, PaymentDay
from tests.integration.settlement.trading_day import ACTOR, END, START, TradingDay


@pytest.fixture
def paying(database: DatabaseUrls) -> PaymentDay:
    return PaymentDay()


def nets(netting: NettingSet) -> dict[str, tuple[int, int, int]]:
    rows = NettedParty.objects.filter(netting=netting).select_related("party")
    return {row.party.code: (row.credits_micros, row.debits_micros, row.net_micros) for row in rows}


def test_all_lines_of_a_day_come_to_one_figure_a_party(paying: PaymentDay) -> None:
    run = paying.run(("provider-1", 5_000_000), ("provider-1", -1_200_000), ("buyer-1", 300_000))
    insert_line(run, paying.party("house"), paying.day.contract.id, "provider_fee", 200_000)
    netting = paying.net()
    assert nets(netting) == {
        "house": (200_000, 4_300_000, -4_100_000),  # its fee, and what escrow gave to all
        "provider-1": (5_000_000, 1_200_000, 3_800_000),
        "buyer-1": (300_000, 0, 300_000),
    }
    assert (netting.gross_micros, netting.net_micros, netting.sequence) == (5_500_000, 4_100_000, 1)
    assert findings(audit_but_lines()) == {}


def test_each_run_is_netted_once_and_late_ones_come_into_a_set_of_their_own(paying: PaymentDay) -> None:
    with pytest.raises(NothingToNet):
        paying.net()
    first = paying.run(("provider-1", 5_000))
    netting = paying.net()
    with pytest.raises(NothingToNet):
        paying.net()
    late = paying.run(("provider-1", -2_000), ("buyer-1", 2_000), sequence=2)
    second = paying.net()
    assert (second.sequence, nets(second)["provider-1"]) == (2, (0, 2_000, -2_000))
    assert list(NettedRun.objects.order_by("run_id").values_list("run_id", "netting_id")) == [
        (first.pk, netting.pk),
        (late.pk, second.pk),
    ]


def test_what_is_not_posted_or_not_published_is_not_netted(paying: PaymentDay) -> None:
    stating = closed_run(
        currency_id=paying.day.currency_id, period_start=START, period_end=END, kind=RunKind.INITIAL, sequence=3,
        state=RunState.SIGNING, value_date=VALUE_DATE, created_at=END,
    )  # fmt: skip
    for run in (published_run("CNY", START, END, RunKind.INDICATIVE, value_date=VALUE_DATE), stating):
        insert_line(run, paying.party("buyer-1"), paying.day.contract.id, "delivered", 7)
    with pytest.raises(NothingToNet):
        paying.net()
    paying.run(("provider-2", 11))
    assert set(nets(paying.net())) == {"house", "provider-2"}


def test_two_at_once_net_a_run_once(paying: PaymentDay) -> None:
    paying.run(("provider-1", 5_000))

    def attempt(_: int) -> str:
        try:
            paying.net()
        except NothingToNet:
            return "nothing"
        finally:
            connections.close_all()
        return "netted"

    with ThreadPoolExecutor(4) as people:
        assert sorted(people.map(attempt, range(4))) == ["netted", "nothing", "nothing", "nothing"]
    assert NettingSet.objects.count() == 1


def test_random_lines_net_as_the_pure_function_says(paying: PaymentDay) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    codes = ["provider-1", "provider-2", "buyer-1", "buyer-2", "grid-compute"]
    lines = [(dice.choice(codes), dice.randint(-(10**9), 10**9)) for _ in range(60)]
    paying.run(*lines[:30])
    paying.run(*lines[30:], sequence=2)
    netting = paying.net()
    pairs = [(paying.party(code).pk, micros) for code, micros in lines]
    house = paying.party("house").pk
    oracle = net([*pairs, (house, -sum(micros for _, micros in pairs))])
    assert (netting.gross_micros, netting.net_micros) == (oracle.gross_micros, oracle.net_micros)
    assert {row.party_id: row.net_micros for row in NettedParty.objects.all()} == {
        party.party_id: party.net_micros for party in oracle.parties
    }
    assert findings(audit("settlement.netting")) == {}


def cash_moved(day: TradingDay) -> dict[str, int]:
    """What settlement moved on every party's cash, by code, in and out of suspense too."""
    accounts = dict(Account.objects.filter(role=Role.CASH).values_list("id", "party__code"))
    posted = Transaction.objects.filter(source="settlement").values("id")
    sums: Counter[str] = Counter()
    rows = Entry.objects.filter(transaction_id__in=posted, account_id__in=accounts)
    for account_id, amount in rows.values_list("account_id", "amount"):
        sums[accounts[account_id]] += amount
    return {code: micros for code, micros in sums.items() if micros}


@pytest.mark.parametrize("decided", [10_000, 100_000])
def test_a_disputed_day_nets_to_what_moved_on_every_partys_cash(
    day: TradingDay, database: DatabaseUrls, decided: int
) -> None:
    market = disputed_day(day, database)
    market.decide(market.open(micros=100_000), decided)
    day.clock.at = market.now
    for _ in range(2):
        sweep(market.now, ring=lambda _: None)
        day.work_off()
    assert SettlementRun.objects.get(kind=RunKind.DISPUTED_FINAL).state == RunState.PUBLISHED
    for value_date in sorted({run.value_date for run in unnetted_runs() if run.value_date}):
        make_netting_set("CNY", value_date, actor=ACTOR, now=day.clock.at)
    netted: Counter[str] = Counter()
    for row in NettedParty.objects.select_related("party"):
        netted[row.party.code] += row.net_micros
    house = netted.pop("house")
    assert {code: micros for code, micros in netted.items() if micros} == cash_moved(day)
    assert house == -sum(netted.values())
    assert findings(audit("settlement.netting")) == {}


def test_a_changed_figure_is_found(paying: PaymentDay, database: DatabaseUrls) -> None:
    paying.run(("provider-1", 5_000), ("buyer-1", 300))
    netting = paying.net()
    tamper(
        database,
        "UPDATE settlement_nettedparty SET credits_micros = 5001, net_micros = 5001 WHERE credits_micros = 5000",
    )
    name = f"netting set {netting.pk}"
    assert found_by(audit("settlement.netting")) == {"settlement.netting": [name, name]}
