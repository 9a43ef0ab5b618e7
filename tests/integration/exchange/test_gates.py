"""A contract's life: gates, what is fixed when they close, and what each side then learns."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from exchange.commands.halt_contract import ResumeContract, resume_contract
from exchange.commands.mark_contract_settled import MarkContractSettled, mark_contract_settled
from exchange.commands.qualify_provider import (
    QualifyProvider,
    RevokeQualification,
    qualify_provider,
    revoke_qualification,
)
from exchange.commands.sweep_contract_life import sweep_contract_life
from exchange.errors import (
    ContractExists,
    ContractHalted,
    InvalidOrder,
    InvalidTerms,
    InvalidWindow,
    WrongContractState,
)
from exchange.models import Contract, Intake, IntakeKind, Qualification
from exchange.selectors.market import get_book, get_contract
from exchange.selectors.positions import list_delivery_instructions, list_own_positions, list_positions
from exchange.sequencer.intake import Submission, submit
from ledger.chart import Role
from ledger.errors import DomainError
from ledger.models import ActionLog
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.market import ACTOR, CODE, LOT, NOW, START, SYMBOL, Market

HOUR = timedelta(hours=1)


def close(market: Market) -> dict[str, Any]:
    market.clock.at = market.contract.gate_close
    (result,) = market.sweep()
    return result


def test_closing_cancels_the_book_releases_its_holds_and_fixes_the_price(market: Market) -> None:
    buyers = [market.party(f"buyer-{i}") for i in range(2)]
    market.offer(3, 400)
    market.offer(10, 410)
    market.buy(buyers[0], 3, 400)
    market.buy(buyers[1], 1, 410)
    market.buy(buyers[1], 5, 380)
    result = close(market)
    assert (result["contract_state"], result["orders_expired"]) == ("closed", 2)
    contract = get_contract(SYMBOL)
    assert (contract.state, contract.reference_step) == ("closed", "trades")
    assert contract.reference_price_micros == (3 * 400 + 410) * 10_000 // 4
    assert contract.obligations_hash == result["obligations_hash"]
    assert (get_book(SYMBOL).bids, get_book(SYMBOL).asks) == ((), ())
    assert market.cash(buyers[1]).held == 0
    assert market.cash(market.provider).held == 4_000_000
    assert market.tokens(market.provider, Role.OBLIGATION).held == 0
    check_exchange()


def test_a_gate_closes_in_one_transaction(market: Market) -> None:
    """Book, holds, state, obligations and journal are written by the same transaction, or none of them is."""
    market.offer(3, 400)
    market.buy(market.party("buyer-1"), 1, 400)
    close(market)
    cash = market.cash(market.provider).id
    writers = {
        table: _number(f"SELECT xmin::text::bigint FROM {table} WHERE {row}")
        for table, row in (
            ("exchange_contract", f"id = {market.contract.id}"),
            ("exchange_order", "status = 'expired'"),
            ("exchange_sequencerbatch", "no = (SELECT max(no) FROM exchange_sequencerbatch)"),
            ("exchange_intakeresult", "seq = (SELECT max(seq) FROM exchange_intakeresult)"),
            ("exchange_bookdelta", "seq = (SELECT max(seq) FROM exchange_bookdelta)"),
            ("ledger_account", f"id = {cash}"),
            ("ledger_transaction", "id = (SELECT max(id) FROM ledger_transaction)"),
        )
    }
    assert len(set(writers.values())) == 1, writers


@pytest.mark.parametrize("table", ["exchange_contract", "exchange_order", "exchange_bookdelta", "ledger_holdentry"])
def test_a_gate_that_fails_half_way_has_not_closed(market: Market, database: Any, table: str) -> None:
    market.offer(3, 400)
    market.buy(market.party("buyer-1"), 1, 400)
    held, tokens = market.cash(market.provider).held, market.tokens(market.provider, Role.OBLIGATION).held
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$")
        owner.execute(f"CREATE TRIGGER fail BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION fail()".encode())
        result = close(market)
        assert result["status"] == "failed"
        contract = Contract.objects.get(id=market.contract.id)
        assert (contract.state, contract.obligations_hash, contract.reference_price_micros) == ("trading", None, None)
        assert get_book(SYMBOL).asks[0].lots == 2
        assert market.cash(market.provider).held == held
        assert market.tokens(market.provider, Role.OBLIGATION).held == tokens
        owner.execute(f"DROP TRIGGER fail ON {table}".encode())
    (result,) = market.sweep()  # the clock rings again
    assert (result["contract_state"], result["orders_expired"]) == ("closed", 1)
    check_exchange()


def test_a_halt_by_the_collar_says_why_and_an_operator_ends_it(market: Market) -> None:
    narrow = market.list_window(START + timedelta(hours=1), collar_permille=50)
    market.sweep()
    start, buyer = narrow.delivery_start, market.party("buyer-1")
    market.offer(1, 420, start)
    market.offer(1, 441, start)
    market.offer(1, 442, start)
    first = market.buy(buyer, 3, 500, symbol=narrow.symbol)
    assert (first["filled_lots"], first["close_reason"]) == (2, "price_collar")  # 5 % above 4.20 is 4.41
    narrow.refresh_from_db()
    assert (narrow.state, narrow.state_reason) == (
        "halted",
        "An order would have traded at 4.420000, outside the collar.",
    )
    told = ActionLog.objects.get(action="halt", subject=f"contract:{narrow.symbol}")
    assert (told.actor, told.reason, told.details) == (
        "sequencer",
        narrow.state_reason,
        {"order_id": first["order_id"]},
    )
    with pytest.raises(ContractHalted):
        market.submit_buy(buyer, 1, 442, symbol=narrow.symbol)
    with pytest.raises(InvalidOrder):
        resume_contract(ResumeContract(narrow.symbol, " "), actor=ACTOR, now=NOW)
    seq = resume_contract(ResumeContract(narrow.symbol, "the price is right"), actor=ACTOR, now=NOW).seq
    assert market.results([seq])[0]["contract_state"] == "trading"
    narrow.refresh_from_db()
    assert narrow.state_reason == ""
    assert market.buy(buyer, 1, 442, symbol=narrow.symbol)["filled_lots"] == 1  # the last price is 4.41 now
    assert ActionLog.objects.get(action="resume").reason == "the price is right"
    check_exchange()


def _number(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        (number,) = cursor.fetchone()
    return int(number)


def test_without_trades_the_reference_is_the_next_wider_window_and_then_the_last_settled(market: Market) -> None:
    buyer = market.party("buyer-1")
    quarter = market.list_window(START, 900, gate_close=START)
    later = market.list_window(START + timedelta(days=3))
    market.sweep()
    market.offer(2, 395)
    market.buy(buyer, 2, 395)
    close(market)
    market.clock.at = quarter.gate_close
    market.sweep()
    figures = Contract.objects.values_list("reference_step", "reference_price_micros")
    assert figures.get(id=quarter.id) == ("wider_window", 3_950_000)
    market.clock.at = later.gate_close
    market.sweep()
    mark_contract_settled(MarkContractSettled(market.contract.id), actor=ACTOR, now=market.clock.at)
    another = market.list_window(START + timedelta(days=5))
    market.clock.at = another.gate_close
    market.sweep()
    assert figures.get(id=later.id) == ("listing", 4_200_000)
    assert figures.get(id=another.id) == ("last_settled", 3_950_000)


def test_a_contract_that_never_traded_takes_its_listing_price(market: Market) -> None:
    close(market)
    contract = get_contract(SYMBOL)
    assert (contract.reference_step, contract.reference_price_micros) == ("listing", 4_200_000)


def test_fills_of_the_batch_before_the_gate_count_in_its_record(market: Market) -> None:
    buyer = market.party("buyer-1")
    market.offer(5, 400)
    waiting = market.submit_buy(buyer, 2, 400)
    gates = Submission(IntakeKind.CLOSE_GATE, market.contract.id, "clock", {})
    early = submit(gates, now=NOW).seq
    assert [result["status"] for result in market.results([waiting, early])] == ["accepted", "refused"]
    late = market.submit_buy(buyer, 1, 400)
    market.clock.at = market.contract.gate_close
    sweep_contract_life(market.clock.at)
    assert market.results([late])[0]["code"] == "contract_closed"
    assert list_positions(contract_id=market.contract.id)[0].tokens == 2 * LOT
    assert get_contract(SYMBOL).reference_price_micros == 4_000_000


def test_delivery_starts_and_ends_by_the_clock(market: Market) -> None:
    close(market)
    states = []
    for at in (START - timedelta(seconds=1), START, START + timedelta(hours=1)):
        market.clock.at = at
        market.sweep()
        states.append(get_contract(SYMBOL).state)
    assert states == ["closed", "delivering", "delivered"]
    mark_contract_settled(MarkContractSettled(market.contract.id), actor=ACTOR, now=market.clock.at)
    mark_contract_settled(MarkContractSettled(market.contract.id), actor=ACTOR, now=market.clock.at)
    assert get_contract(SYMBOL).state == "settled"


def test_a_sweep_catches_up_with_everything_that_was_missed(market: Market) -> None:
    missed = market.list_window(START + timedelta(hours=1), gate_open=NOW + timedelta(hours=1))
    market.clock.at = missed.delivery_end
    market.sweep()
    market.sweep()
    assert set(Contract.objects.values_list("state", flat=True)) == {"delivered"}


def test_only_delivered_contracts_are_settled(market: Market) -> None:
    with pytest.raises(WrongContractState):
        mark_contract_settled(MarkContractSettled(market.contract.id), actor=ACTOR, now=NOW)


def test_a_gate_waits_in_the_line_only_once(market: Market) -> None:
    market.clock.at = market.contract.gate_close
    assert len(sweep_contract_life(market.clock.at)) == 1
    assert sweep_contract_life(market.clock.at) == []
    assert Intake.objects.filter(kind="close_gate").count() == 1


def test_the_sides_of_a_position_learn_each_other_at_the_gate_and_not_before(market: Market) -> None:
    buyer, stranger = market.party("buyer-1"), market.party("buyer-2")
    market.offer(6, 400)
    market.buy(buyer, 6, 400, overage_permille=100)
    (before,) = list_own_positions(buyer.id)
    assert (before.counterparty, before.tokens, before.notional) == (None, 6 * LOT, 2_400_000)
    assert list_delivery_instructions(SYMBOL, buyer.id) == []
    close(market)
    (bought,), (sold,) = list_own_positions(buyer.id), list_own_positions(market.provider.id)
    assert (bought.counterparty, bought.bought) == ("provider-1", True)
    assert (sold.counterparty, sold.bought) == ("buyer-1", False)
    (instruction,) = list_delivery_instructions(SYMBOL, buyer.id)
    assert instruction == list_delivery_instructions(SYMBOL, market.provider.id)[0]
    assert (instruction.base_url, instruction.model_name) == ("https://api.example.com/v1", "qwen3-235b")
    assert (instruction.tokens, instruction.overage_tokens) == (6 * LOT, 60_000)
    assert instruction.rate_tokens == LOT  # 6 lots × 60 s × 1.5 / 3,600 s is less than the largest request
    assert list_delivery_instructions(SYMBOL, stranger.id) == []
    assert list_own_positions(stranger.id) == []


def test_the_endpoint_is_that_of_the_qualification_for_the_time_of_delivery(market: Market) -> None:
    """A later one does not send buyers elsewhere before its time, and one that was revoked still says where to go."""
    buyer = market.party("buyer-1")
    market.offer(1, 400)
    market.buy(buyer, 1, 400)
    close(market)
    known: dict[str, Any] = {
        "provider_id": market.provider.id,
        "product_code": CODE,
        "access": "By mail.",
        "model_name": "qwen3-235b",
        "entitlement_attested_by": "counsel",
    }
    for host, start, end in (
        ("next", START + timedelta(days=1), START + timedelta(days=9)),
        ("now", NOW, START + HOUR),
    ):
        command = QualifyProvider(
            endpoint_url=f"https://{host}.example.com/v1", valid_from=start, valid_until=end, **known
        )
        qualify_provider(command, actor=ACTOR, now=market.clock.at)
    for qualification in Qualification.objects.filter(valid_from__lte=NOW):
        revoke = RevokeQualification(qualification.pk, "the weights were replaced")
        revoke_qualification(revoke, actor=ACTOR, now=market.clock.at)
    (instruction,) = list_delivery_instructions(SYMBOL, buyer.id)
    assert (instruction.base_url, instruction.access) == ("https://now.example.com/v1", "By mail.")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"gate_close": NOW}, InvalidTerms),
        ({"gate_open": START + timedelta(minutes=30)}, InvalidTerms),
        ({"gate_close": START + timedelta(hours=2)}, InvalidTerms),
        ({"listing_price_ticks": 1_001}, InvalidTerms),
        ({"band_low_ticks": 0}, InvalidTerms),
        ({"window_seconds": 3_601}, InvalidWindow),
        ({"delivery_start": START + timedelta(minutes=90)}, InvalidWindow),
    ],
)
def test_a_contract_that_contradicts_itself_is_not_listed(
    market: Market, change: dict[str, Any], error: type[DomainError]
) -> None:
    before = Contract.objects.count()
    with pytest.raises(error):
        market.list_window(START + timedelta(hours=1), **change)
    assert Contract.objects.count() == before


def test_a_window_is_listed_once(market: Market) -> None:
    with pytest.raises(ContractExists):
        market.list_window(START)
