"""Commands put into the line as they stand there, and what the sequencer has made of them."""

from __future__ import annotations

from typing import Any

from exchange.matching.book import Book
from exchange.models import IntakeKind, Order
from exchange.sequencer.intake import Submission, submit
from exchange.sequencer.loop import Sequencer
from exchange.sequencer.state import Market as Memory
from exchange.sequencer.state import restore_market
from ledger.models import Party
from tests.integration.exchange.market import ACTOR, Market


def order(market: Market, party: Party, side: str, lots: int, price_ticks: int, **more: Any) -> Submission:
    """An order of any kind; `contract` names another contract than the market's."""
    contract = more.pop("contract", market.contract)
    client_order_id = more.pop("client_order_id", None)
    payload = {
        "side": side,
        "price_ticks": price_ticks,
        "lots": lots,
        "time_in_force": "gtc",
        "overage_permille": 0,
    } | more
    return Submission(IntakeKind.PLACE_ORDER, contract.id, ACTOR, payload, party.id, client_order_id)


def about(market: Market, kind: IntakeKind, party: Party, contract: Any = None, **payload: Any) -> Submission:
    """A command about a party's orders; of the market's contract when it is about one order."""
    if contract is None and "order_id" in payload:
        contract = market.contract
    return Submission(kind, None if contract is None else contract.id, ACTOR, payload, party.id)


def put(market: Market, submission: Submission) -> int:
    return submit(submission, now=market.clock.at).seq


def decided(market: Market, *submissions: Submission) -> list[dict[str, Any]]:
    """What becomes of them, decided in one batch."""
    return market.results([put(market, each) for each in submissions])


def status_of(order_id: int) -> tuple[str, str, int]:
    """Status, reason and lots left of an order."""
    row = Order.objects.get(id=order_id)
    return row.status, row.close_reason, row.remaining_lots


def check_memory(sequencer: Sequencer, shard: int = 1) -> None:
    """What the sequencer remembers is what it would find after a restart."""
    kept = sequencer._market
    assert kept is not None
    found = restore_market(shard)
    found.load(kept.contracts)
    assert +kept.open_orders == found.open_orders
    assert kept.next_due == found.next_due or (kept.next_due is not None and _not_after(kept, found))
    for contract_id, live in kept.contracts.items():
        again = found.contracts[contract_id]
        assert _queues(live.book) == _queues(again.book)
        for figure in ("state", "book_seq", "last_trade_no", "last_price_ticks", "traded_lots"):
            assert getattr(live, figure) == getattr(again, figure), figure


def _not_after(kept: Memory, found: Memory) -> bool:
    return found.next_due is None or (kept.next_due is not None and kept.next_due <= found.next_due)


def _queues(book: Book) -> list[Any]:
    return list(book.in_priority())
