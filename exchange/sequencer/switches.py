"""Dead-man switches on their way into the shards' lines.

A switch stands in each shard by itself, so that it works there whatever becomes of the other shards. It is put where
something is in trade; a shard that comes into trade later is told of it ahead of its gate, and so ahead of every order
that the switch could have to cancel there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from exchange.models import DeadManSwitch, IntakeKind
from exchange.sequencer.intake import Submission, lock_line, submit_all, trading_shards, waiting_commands

SECOND = timedelta(seconds=1)


def submit_switch(party_id: int, seconds: int, *, actor: str, now: datetime) -> list[int]:
    """Set, renew or (by 0 seconds) stop a party's switch in every shard that is in trade; the numbers of that.

    Where it stands and nothing is in trade any more, it is stopped; nobody has to wait for that.
    """
    with transaction.atomic():
        lock_line()  # before looking, so that no gate opens in between
        trading = trading_shards()
        left_behind = sorted(_standing(now, party_id=party_id).get(party_id, {}).keys() - set(trading))
        wanted = [_set(party_id, shard, 0, actor) for shard in left_behind]
        wanted += [_set(party_id, shard, seconds, actor) for shard in trading]
        return submit_all(wanted, now=now)[len(left_behind) :]


def switches_for(shards: Iterable[int], *, actor: str, now: datetime) -> list[Submission]:
    """What sets the switches of other shards in these too. For whoever holds the line's lock and opens a gate there.

    They are due there with the others, or later by less than a second and the time that the command waits.
    """
    standing, opening = _standing(now), sorted(set(shards))
    return [
        _set(party_id, shard, max(by_shard.values()), actor)
        for party_id, by_shard in sorted(standing.items())
        for shard in opening
        if shard not in by_shard
    ]


def _standing(now: datetime, **whose: int) -> dict[int, dict[int, int]]:
    """The whole seconds that each switch has left by party and shard, once what waits in the lines is decided.

    One that is due already is left out: it does its work before anything that comes behind it.
    """
    # Waiting ones are read first: what is decided meanwhile is in the table by then, and counts once.
    waiting = waiting_commands().filter(kind=IntakeKind.CANCEL_ALL_AFTER, **whose).order_by("seq")
    told = {
        (party_id, shard): int(seconds)
        for party_id, shard, seconds in waiting.values_list("party_id", "shard", "payload__seconds")
    }
    set_until = DeadManSwitch.objects.filter(due_at__gt=now, **whose).values_list("party_id", "shard", "due_at")
    left = {(party_id, shard): -((now - due_at) // SECOND) for party_id, shard, due_at in set_until if due_at}
    standing: dict[int, dict[int, int]] = defaultdict(dict)
    for (party_id, shard), seconds in (left | told).items():
        if seconds and party_id is not None:
            standing[party_id][shard] = seconds
    return standing


def _set(party_id: int, shard: int, seconds: int, actor: str) -> Submission:
    return Submission(IntakeKind.CANCEL_ALL_AFTER, None, actor, {"seconds": seconds}, party_id, shard=shard)
