"""Which refused demand counts against a provider. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from settlement.metering.joining import Joined
from settlement.metering.records import COUNTING_REASONS, Side
from settlement.metering.verdicts import Settling, Verdict

Link = tuple[str, str]  # a request, and the one it says it repeats


def links_of(joined: Mapping[str, Joined]) -> list[Link]:
    """Every `retry_of` that any side's end of a request names."""
    return [
        (request_id, record.retry_of)
        for request_id, request in joined.items()
        for record in request.ends.values()
        if record.retry_of is not None
    ]


def counted_refusals(
    joined: Mapping[str, Joined],
    settled: Mapping[str, Settling],
    links: Iterable[Link],
    delivered_in_sums: Mapping[str, Joined],
) -> dict[str, int]:
    """Refused demand by request: of each chain of retries the first refusal that counts, unless one was delivered.

    A link that any meter reports joins two requests: what only one party says can then only lower the count. A request
    whose end is lost says nothing of the others. No delivery that the provider alone reports takes away a refusal
    that others report, too: it could make up as many as it has refusals. `delivered_in_sums`: what went into sums, as
    it was before.
    """
    candidates = [request_id for request_id, settling in settled.items() if _counts(settling)]
    counted: dict[str, int] = {}
    for chain in _chains(candidates, links):
        members = [each for each in chain if each in settled and joined[each].ends]
        both_heard = any(_counts(settled[each]) and _heard(joined[each]) for each in members)
        if any(each in delivered_in_sums and (not both_heard or _heard(delivered_in_sums[each])) for each in chain):
            continue
        speaking = [each for each in members if not both_heard or _heard(joined[each])]
        if not all(_stays_refused(joined[each], settled[each]) for each in speaking):
            continue
        counting = [request_id for request_id in members if _counts(settled[request_id])]
        if counting:
            first = min(counting, key=lambda request_id: (joined[request_id].accepted_at, request_id))
            record = settled[first].record
            counted[first] = 0 if record is None else record.millitokens
    return counted


def _heard(request: Joined) -> bool:
    """Whether somebody besides the provider saw it start or says how it ended."""
    return any(side is not Side.PROVIDER for side in (*request.ends, *request.starts))


def _stays_refused(request: Joined, settling: Settling) -> bool:
    """Whether nobody with a say claims that it was delivered."""
    if settling.verdict is Verdict.CONFLICT:
        return settling.record is not None and settling.record.refusal is not None
    return request.leading.refusal is not None


def _counts(settling: Settling) -> bool:
    return settling.record is not None and settling.record.refusal in COUNTING_REASONS


def _chains(request_ids: Collection[str], links: Iterable[Link]) -> list[list[str]]:
    """These requests, and those connected to any by `retry_of`, as groups; none if there are no such requests.

    Survives links to unknown requests, and circles.
    """
    if not request_ids:
        return []
    parent: dict[str, str] = {}

    def find(request_id: str) -> str:
        parent.setdefault(request_id, request_id)
        while parent[request_id] != request_id:
            parent[request_id] = parent[parent[request_id]]
            request_id = parent[request_id]
        return request_id

    for request_id in request_ids:
        find(request_id)
    for request_id, retried in links:
        parent[find(request_id)] = find(retried)
    chains: dict[str, list[str]] = defaultdict(list)
    for request_id in parent:
        chains[find(request_id)].append(request_id)
    return list(chains.values())
