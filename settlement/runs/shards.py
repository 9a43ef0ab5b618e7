"""Cutting a run into shards: contracts that one job settles together, 1 to 20 seconds of work."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from settlement.market import SettledContract

MAX_POSITIONS = 2_000
MAX_EVENTS = 50_000

# How much there is to do. Events are those that were summed up so far: an estimate, since only the size of the work
# hangs on it, and nothing that a run finds.
_SIZES = """
SELECT contract.id,
       (SELECT count(*) FROM (SELECT DISTINCT buyer_id, provider_id FROM exchange_fill AS fill
                               WHERE fill.contract_id = contract.id) AS pair),
       (SELECT coalesce(sum(started + completed + refused), 0) FROM settlement_usageminute AS usage
         WHERE usage.contract_id = contract.id)
  FROM unnest(%s::bigint[]) AS contract(id)
"""


def shards_of(contracts: Sequence[SettledContract]) -> list[tuple[SettledContract, int]]:
    """Contracts, in their order, with the number of their shard.

    Contracts of a product with a right to make up are in one shard: each takes what those before it left.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SIZES, [[contract.id for contract in contracts]])
        sizes = {contract_id: (positions, int(events)) for contract_id, positions, events in cursor}
    numbers: list[tuple[SettledContract, int]] = []
    of_product: dict[int, int] = {}
    shard, last, positions, events = 0, 0, 0, 0
    for contract in contracts:
        more_positions, more_events = sizes[contract.id]
        if contract.terms.make_up is not None:
            if contract.product_id not in of_product:
                last += 1
                of_product[contract.product_id] = last
            numbers.append((contract, of_product[contract.product_id]))
            continue
        if shard == 0 or positions + more_positions > MAX_POSITIONS or events + more_events > MAX_EVENTS:
            last += 1
            shard, positions, events = last, 0, 0
        positions += more_positions
        events += more_events
        numbers.append((contract, shard))
    return numbers
