"""Usage that is stored before a measurement begins: generated inside the database, as intake writes it.

Every other event has an id at random, the others ids in order.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from tests.bench.metering.world import ACTOR, World

EVENTS_A_CALL = 1_000

_PARTITIONS = """
SELECT settlement_ensure_usage_partition((%(received)s + n * interval '1 day')::date) FROM generate_series(0, 1) AS n
"""
_CALLS = """
INSERT INTO settlement_usagebatch (id, party_id, actor, received_at, body_digest, accepted, duplicates, conflicts,
                                   quarantined, rejected)
SELECT nextval('settlement_usagebatch_id_seq'), %(party)s, %(actor)s, %(received)s + n * interval '1 millisecond',
       sha256(n::text::bytea), %(events)s, 0, 0, 0, 0
  FROM generate_series(1, %(calls)s) AS n
RETURNING id
"""
_EVENTS = """
INSERT INTO settlement_usageevent (
    received_at, batch_id, place, accepted_at, event_time, meter_id, contract_id, buyer_id, provider_id, input_uncached,
    input_cache_read, output_visible, output_reasoning, millitokens, adapter_version, kind, event_id, content_hash,
    request_id, family, raw)
SELECT received_at, call, place, start + n %% 3600 * interval '1 second', start + n %% 3600 * interval '1 second',
       %(meter)s, contract, (%(buyers)s::bigint[])[1 + n %% %(buyer_count)s], %(provider)s, n %% 4000, n %% 1000,
       n %% 900, n %% 300, (n %% 4000) * 1000 + (n %% 1000) * 100 + (n %% 900 + n %% 300) * 4000, 1, 'completed',
       CASE place %% 2 WHEN 0 THEN to_char(call, 'FM000000000000') || '-' || to_char(place, 'FM000000') ELSE digest END,
       sha256(digest::bytea), digest, 'openai_chat',
       convert_to('{"prompt_tokens":' || n %% 4000 + n %% 1000 || ',"completion_tokens":' || n %% 900 + n %% 300
                  || ',"prompt_tokens_details":{"cached_tokens":' || n %% 1000 || ',"audio_tokens":0}'
                  || ',"completion_tokens_details":{"reasoning_tokens":' || n %% 300 || ',"audio_tokens":0}}', 'UTF8')
  FROM (SELECT batch.id AS call, batch.received_at, place, contract, start, md5(batch.id || '/' || place) AS digest,
               hashint8extended(batch.id * %(events)s + place, 0) & 1073741823 AS n
          FROM settlement_usagebatch AS batch
         CROSS JOIN generate_series(0, %(events)s - 1) AS place
          JOIN unnest(%(contracts)s::bigint[], %(starts)s::timestamptz[]) WITH ORDINALITY AS at(contract, start, number)
            ON number = 1 + (hashint8extended(batch.id * %(events)s + place, 1) & 1073741823) %% %(contract_count)s
         WHERE batch.id = ANY(%(numbers)s)) AS made
"""
_IDENTITIES = """
INSERT INTO settlement_usagededup (meter_id, batch_id, place, event_id, content_hash)
SELECT meter_id, batch_id, place, event_id, content_hash FROM settlement_usageevent
 WHERE batch_id = ANY(%(numbers)s) AND received_at >= %(received)s
   AND received_at < %(received)s + interval '1 day'
 ORDER BY batch_id, place
"""
_PENDING = """
INSERT INTO settlement_pendingrollup (batch_id, received_at)
SELECT id, received_at FROM settlement_usagebatch WHERE id = ANY(%(numbers)s)
"""


@transaction.atomic
def store(
    world: World, calls: int, received: datetime, *, events: int = EVENTS_A_CALL, identities: bool, pending: bool
) -> None:
    """So many calls of the first provider's meter, received at that instant and the milliseconds after it.

    Without `identities` nothing finds the events by their ids; with `pending` they still wait to be summed up.
    """
    reporter = world.providers[0]
    given: dict[str, Any] = {
        "calls": calls, "events": events, "received": received, "actor": ACTOR, "party": reporter.party.pk,
        "provider": reporter.party.pk, "meter": reporter.meter.pk,
        "buyers": [buyer.party.pk for buyer in world.buyers], "buyer_count": len(world.buyers),
        "contracts": [contract.pk for contract in world.contracts], "contract_count": len(world.contracts),
        "starts": [contract.delivery_start for contract in world.contracts],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_PARTITIONS, given)
        cursor.execute(_CALLS, given)
        given["numbers"] = [number for (number,) in cursor.fetchall()]
        cursor.execute(_EVENTS, given)
        if identities:
            cursor.execute(_IDENTITIES, given)
        if pending:
            cursor.execute(_PENDING, given)
