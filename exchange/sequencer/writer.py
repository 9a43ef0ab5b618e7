"""A decided batch becomes rows: one statement a table, however many rows.

PostgreSQL works on what was sent while the rest is packed, and while the next batch is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.json import Encoder
from psycopg.types.numeric import Int2, Int8

from exchange.clearing.drafts import SOURCE
from exchange.clearing.fills import FillRecord
from exchange.matching.events import MatchPrevented
from exchange.matching.lifecycle import OrderStatus
from exchange.models import Contract
from exchange.sequencer.answers import Answer
from exchange.sequencer.market_rows import write_markets
from exchange.sequencer.outcome import Outcome, TouchedOrder
from exchange.sequencer.undoing import write_contract_life
from ledger import journal
from ledger.chart import AccountKey
from ledger.drafts import TransactionDraft
from ledger.packing import (
    Outbox,
    PackedArray,
    pack_documents,
    pack_int4,
    pack_int8,
    pack_int8_or_null,
    pack_texts,
    pack_texts_or_null,
)

RESULTS_CHANNEL = "exchange_results"
OPEN = OrderStatus.OPEN
_to_json = Encoder().encode


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch's place: which commands, when, and after what. `head` was locked in the transaction that writes it."""

    no: int
    shard: int
    epoch: int
    first_seq: int
    last_seq: int
    now: datetime
    head: journal.Head
    last_fill: int


def write_batch(
    outcome: Outcome,
    batch: Batch,
    drafts: Sequence[TransactionDraft],
    accounts: dict[AccountKey, journal.AccountState],
    outbox: Outbox,
) -> journal.Head:
    """Orders, ledger, fills, market data, contracts, results, and how far the shard is; gives the head that follows.

    `accounts` are those that the writer remembers as of the head's version; they are moved on. Fills come after the
    ledger's entries, against which their trigger compares them. Only what is rare waits for what went to `outbox`.
    """
    transaction = batch.head.last_transaction + 1 if drafts else None
    if outcome.moved_states:
        outbox.settle()
        _update_contracts(outcome)
    _insert_orders(outbox, [each for each in outcome.orders.values() if each.command is not None], batch.now)
    _update_orders(outbox, [each for each in outcome.orders.values() if each.command is None], batch.now)
    head = batch.head
    if drafts:
        head = journal.post_new(drafts, accounts, head, outbox, actor=SOURCE, now=batch.now)
    _insert_fills(outbox, outcome.fills, batch)
    _insert_prevented(outbox, outcome.prevented, batch)
    _write_switches(outbox, outcome, batch)
    write_markets(outbox, outcome, batch_no=batch.no, now=batch.now)
    _insert_results(outbox, outcome.answers, batch.no)
    _advance(outbox, batch, transaction)
    if outcome.changes_contracts:
        outbox.settle()
        write_contract_life(outcome, batch_no=batch.no, now=batch.now)
    return head


def _insert_orders(outbox: Outbox, placed: Sequence[TouchedOrder], now: datetime) -> None:
    if not placed:
        return
    orders = [touched.order for touched in placed]
    commands = [touched.command for touched in placed if touched.command is not None]
    outbox.execute(
        _INSERT_ORDERS,
        [
            pack_int8([order.order_id for order in orders]),
            pack_int8([order.contract_id for order in orders]),
            pack_int8([order.party_id for order in orders]),
            pack_int8([order.price_ticks for order in orders]),
            pack_int8([order.lots for order in orders]),
            pack_int8([touched.remaining_lots for touched in placed]),
            pack_int8([order.group_id for order in orders]),
            pack_int8([touched.priority or touched.order.order_id for touched in placed]),
            pack_int4([order.maker_fee_ppm for order in orders]),
            pack_int4([order.taker_fee_ppm for order in orders]),
            pack_int4([order.overage_permille for order in orders]),
            now,
            now,
            pack_texts([order.side for order in orders]),
            pack_texts([order.order_type for order in orders]),
            pack_texts([order.time_in_force for order in orders]),
            pack_texts([order.post_only for order in orders]),
            pack_texts([order.self_trade for order in orders]),
            pack_texts([touched.status for touched in placed]),
            pack_texts([touched.close_reason for touched in placed]),
            pack_int8_or_null([order.budget for order in orders]),
            pack_texts_or_null([command.payload.get("expires_at") for command in commands]),
            pack_texts_or_null([command.client_order_id for command in commands]),
            pack_int8_or_null([command.payload.get("offer_id") for command in commands]),
        ],
    )


# Elements of fixed width are taken by their place: of several arrays, `unnest` would first write each one out.
_INSERT_ORDERS = """
    INSERT INTO exchange_order (id, contract_id, party_id, price_ticks, lots, remaining_lots, group_id, priority,
                                maker_fee_ppm, taker_fee_ppm, overage_permille, placed_at, closed_at, side, order_type,
                                time_in_force, post_only, self_trade, status, close_reason, budget, expires_at,
                                client_order_id, offer_id)
    SELECT (%s::bigint[])[n], (%s::bigint[])[n], (%s::bigint[])[n], (%s::bigint[])[n], (%s::bigint[])[n],
           (%s::bigint[])[n], (%s::bigint[])[n], (%s::bigint[])[n], (%s::int[])[n], (%s::int[])[n], (%s::int[])[n],
           %s::timestamptz, CASE WHEN status = 'open' THEN NULL ELSE %s::timestamptz END, side, order_type,
           time_in_force, post_only, self_trade, status, close_reason, budget, expires_at::timestamptz,
           client_order_id, offer_id
      FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
                  %s::text[], %s::text[], %s::bigint[]) WITH ORDINALITY
           AS placed(side, order_type, time_in_force, post_only, self_trade, status, close_reason, budget, expires_at,
                     client_order_id, offer_id, n)
"""


def _update_orders(outbox: Outbox, changed: Sequence[TouchedOrder], now: datetime) -> None:
    if not changed:
        return
    outbox.execute(
        _UPDATE_ORDERS,
        [
            now,
            pack_int8([touched.order.order_id for touched in changed]),
            pack_int8([touched.order.price_ticks for touched in changed]),
            pack_int8([touched.order.lots for touched in changed]),
            pack_int8([touched.remaining_lots for touched in changed]),
            pack_int8([touched.priority or 0 for touched in changed]),
            pack_texts([touched.status for touched in changed]),
            pack_texts([touched.close_reason for touched in changed]),
        ],
    )


_UPDATE_ORDERS = """
    UPDATE exchange_order AS standing
       SET price_ticks = change.price_ticks, lots = change.lots, remaining_lots = change.remaining_lots,
           priority = CASE WHEN change.priority = 0 THEN standing.priority ELSE change.priority END,
           status = change.status, close_reason = change.close_reason,
           closed_at = CASE WHEN change.status = 'open' THEN NULL ELSE %s::timestamptz END
      FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[])
           AS change(id, price_ticks, lots, remaining_lots, priority, status, close_reason)
     WHERE standing.id = change.id
"""


def _insert_fills(outbox: Outbox, fills: Sequence[FillRecord], batch: Batch) -> None:
    if not fills:
        return
    columns: list[PackedArray] = [pack_int8([getattr(fill, name) for fill in fills]) for name in _FILL_BIGINTS]
    columns += [pack_int4([getattr(fill, name) for fill in fills]) for name in _FILL_INTS]
    outbox.execute(
        _INSERT_FILLS, [batch.now, Int8(batch.no), *columns, pack_texts([fill.taker_side for fill in fills])]
    )


_FILL_BIGINTS = (
    "fill_id", "contract_id", "trade_no", "buy_order_id", "sell_order_id", "buyer_id", "provider_id", "price_ticks",
    "lots", "tokens", "notional_micros", "buyer_fee_micros", "bond_micros", "overage_tokens", "overage_hold_micros",
)  # fmt: skip
_FILL_INTS = ("buyer_fee_ppm", "provider_fee_ppm")
_INSERT_FILLS = f"""
    INSERT INTO exchange_fill (executed_at, batch_no, id, contract_id, trade_no, buy_order_id, sell_order_id, buyer_id,
                               provider_id, price_ticks, lots, tokens, notional, buyer_fee, bond, overage_tokens,
                               overage_hold, buyer_fee_ppm, provider_fee_ppm, taker_side)
    SELECT %s::timestamptz, %s::bigint, {"(%s::bigint[])[n], " * len(_FILL_BIGINTS)}
           {"(%s::int[])[n], " * len(_FILL_INTS)} taker_side
      FROM unnest(%s::text[]) WITH ORDINALITY AS fill(taker_side, n)
"""  # noqa: S608  # made of nothing but the columns' number


def _insert_prevented(outbox: Outbox, prevented: Sequence[MatchPrevented], batch: Batch) -> None:
    if not prevented:
        return
    outbox.execute(
        """
        INSERT INTO exchange_preventedmatch (prevented_at, batch_no, contract_id, taker_order_id, maker_order_id,
                                             taker_party_id, maker_party_id, price_ticks, lots, how)
        SELECT %s::timestamptz, %s::bigint, match.*
          FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                      %s::text[]) AS match
        """,
        [
            batch.now,
            Int8(batch.no),
            pack_int8([match.taker.contract_id for match in prevented]),
            pack_int8([match.taker.order_id for match in prevented]),
            pack_int8([match.maker.order_id for match in prevented]),
            pack_int8([match.taker.party_id for match in prevented]),
            pack_int8([match.maker.party_id for match in prevented]),
            pack_int8([match.price_ticks for match in prevented]),
            pack_int8([match.lots for match in prevented]),
            pack_texts([match.how for match in prevented]),
        ],
    )


def _write_switches(outbox: Outbox, outcome: Outcome, batch: Batch) -> None:
    for party_id, due_at in outcome.switches.items():
        outbox.execute(
            """
            INSERT INTO exchange_deadmanswitch (shard, party_id, due_at)
            VALUES (%s::smallint, %s::bigint, %s::timestamptz)
            ON CONFLICT (shard, party_id) DO UPDATE SET due_at = excluded.due_at
            """,
            [Int2(batch.shard), Int8(party_id), due_at],
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


def _insert_results(outbox: Outbox, answers: dict[int, Answer], batch_no: int) -> None:
    if not answers:
        return
    outbox.execute(
        "INSERT INTO exchange_intakeresult (batch_no, seq, result)"
        " SELECT %s::bigint, (%s::bigint[])[n], result FROM unnest(%s::jsonb[]) WITH ORDINALITY AS decided(result, n)",
        [Int8(batch_no), pack_int8(list(answers)), pack_documents([_to_json(answer) for answer in answers.values()])],
    )


def _advance(outbox: Outbox, batch: Batch, transaction: int | None) -> None:
    """The batch's own row, the cursor, the counters, and the notice, which goes out with the COMMIT."""
    outbox.execute(
        """
        INSERT INTO exchange_sequencerbatch (no, shard, epoch, first_seq, last_seq, ran_at, ledger_version,
                                             ledger_transaction)
        VALUES (%s::bigint, %s::smallint, %s::bigint, %s::bigint, %s::bigint, %s::timestamptz, %s::bigint, %s::bigint)
        """,
        [
            Int8(batch.no),
            Int2(batch.shard),
            Int8(batch.epoch),
            Int8(batch.first_seq),
            Int8(batch.last_seq),
            batch.now,
            Int8(batch.head.version),
            None if transaction is None else Int8(transaction),
        ],
    )
    outbox.execute(
        "UPDATE exchange_sequencerstate SET cursor = %s::bigint, last_ran_at = %s::timestamptz"
        " WHERE shard = %s::smallint",
        [Int8(batch.last_seq), batch.now, Int2(batch.shard)],
    )
    outbox.execute(
        "UPDATE exchange_exchangehead"
        " SET last_batch = %s::bigint, last_fill = %s::bigint, last_ran_at = %s::timestamptz",
        [Int8(batch.no), Int8(batch.last_fill), batch.now],
    )
    outbox.execute(f"SELECT pg_notify('{RESULTS_CHANNEL}', %s::text)", [f"{batch.shard} {batch.last_seq}"])
