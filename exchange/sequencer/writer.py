"""A decided batch becomes rows: one statement a table, however many rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from exchange.clearing.fills import FillRecord
from exchange.matching.lifecycle import OrderStatus
from exchange.matching.types import OrderId
from exchange.models import Contract
from exchange.sequencer.answers import Answer
from exchange.sequencer.batch import Outcome, TouchedOrder

RESULTS_CHANNEL = "exchange_results"


def write_outcome(outcome: Outcome, *, batch_no: int, now: datetime) -> None:
    """Orders, fills, market data, contracts and results. The ledger's part is posted beside it."""
    _insert_orders([each for each in outcome.orders.values() if each.command is not None], now)
    _update_orders({id: each for id, each in outcome.orders.items() if each.command is None}, now)
    _insert_fills(outcome.fills, batch_no, now)
    _write_markets(outcome)
    _update_contracts(outcome)
    _insert_results(outcome.answers, batch_no)


def _run(statement: str, rows: Sequence[Sequence[Any]], *constants: Any) -> None:
    """Run a statement over columns: its `%s` are first `constants`, then one array a column."""
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(statement, [*constants, *(list(column) for column in zip(*rows, strict=True))])


def _insert_orders(placed: Sequence[TouchedOrder], now: datetime) -> None:
    rows = []
    for touched in placed:
        order, command = touched.order, touched.command
        rows.append(
            (
                order.order_id,
                order.contract_id,
                order.party_id,
                order.side.value,
                order.price_ticks,
                order.lots,
                touched.remaining_lots,
                order.time_in_force.value,
                order.overage_permille,
                touched.status.value,
                touched.close_reason,
                command.client_order_id if command else None,
                command.payload.get("offer_id") if command else None,
                None if touched.status is OrderStatus.OPEN else now,
            )
        )
    _run(
        """
        INSERT INTO exchange_order (placed_at, id, contract_id, party_id, side, price_ticks, lots, remaining_lots,
                                    time_in_force, overage_permille, status, close_reason, client_order_id, offer_id,
                                    closed_at)
        SELECT %s, * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[],
                                 %s::bigint[], %s::text[], %s::int[], %s::text[], %s::text[], %s::text[], %s::bigint[],
                                 %s::timestamptz[])
        """,
        rows,
        now,
    )


def _update_orders(changed: dict[OrderId, TouchedOrder], now: datetime) -> None:
    rows = [
        (
            order_id,
            touched.remaining_lots,
            touched.status.value,
            touched.close_reason,
            None if touched.status is OrderStatus.OPEN else now,
        )
        for order_id, touched in changed.items()
    ]
    _run(
        """
        UPDATE exchange_order AS standing
           SET remaining_lots = change.remaining_lots, status = change.status, close_reason = change.close_reason,
               closed_at = change.closed_at
          FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::timestamptz[])
               AS change(id, remaining_lots, status, close_reason, closed_at)
         WHERE standing.id = change.id
        """,
        rows,
    )


def _insert_fills(fills: Sequence[FillRecord], batch_no: int, now: datetime) -> None:
    rows = [
        (
            fill.fill_id,
            fill.contract_id,
            fill.trade_no,
            fill.buy_order_id,
            fill.sell_order_id,
            fill.buyer_id,
            fill.provider_id,
            fill.taker_side.value,
            fill.price_ticks,
            fill.lots,
            fill.tokens,
            fill.notional_micros,
            fill.buyer_fee_micros,
            fill.buyer_fee_ppm,
            fill.provider_fee_ppm,
            fill.bond_micros,
            fill.overage_tokens,
            fill.overage_hold_micros,
        )
        for fill in fills
    ]
    _run(
        """
        INSERT INTO exchange_fill (executed_at, batch_no, id, contract_id, trade_no, buy_order_id, sell_order_id,
                                   buyer_id, provider_id, taker_side, price_ticks, lots, tokens, notional, buyer_fee,
                                   buyer_fee_ppm, provider_fee_ppm, bond, overage_tokens, overage_hold)
        SELECT %s, %s, * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                                     %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                                     %s::bigint[], %s::int[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[])
        """,
        rows,
        now,
        batch_no,
    )


def _write_markets(outcome: Outcome) -> None:
    rows = [
        (live.id, live.book_seq, live.last_trade_no, live.last_price_ticks, live.traded_lots)
        for live in outcome.moved_books.values()
    ]
    _run(
        """
        INSERT INTO exchange_contractmarket (contract_id, book_seq, last_trade_no, last_price_ticks, traded_lots)
        SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
        ON CONFLICT (contract_id) DO UPDATE
           SET book_seq = excluded.book_seq, last_trade_no = excluded.last_trade_no,
               last_price_ticks = excluded.last_price_ticks, traded_lots = excluded.traded_lots
        """,
        rows,
    )


def _update_contracts(outcome: Outcome) -> None:
    for contract_id, live in outcome.moved_states.items():
        figures = outcome.closed_gates.get(contract_id)
        fixed: dict[str, Any] = {}
        if figures is not None:
            fixed = {
                "reference_price_micros": figures.reference.micros,
                "reference_step": figures.reference.step.value,
                "obligations_hash": figures.obligations_hash,
            }
        Contract.objects.filter(id=contract_id).update(state=live.state, **fixed)


def _insert_results(answers: dict[int, Answer], batch_no: int) -> None:
    """As one JSON document: an array of texts that each need quoting takes the client four times as long."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO exchange_intakeresult (batch_no, seq, result)
            SELECT %s, (decided ->> 0)::bigint, decided -> 1 FROM jsonb_array_elements(%s::jsonb) AS decided
            """,
            [batch_no, json.dumps(list(answers.items()))],
        )
