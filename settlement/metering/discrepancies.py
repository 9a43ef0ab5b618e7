"""The discrepancies of a pair, by kind: what a case says. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.joining import Joined
from settlement.metering.records import CaseKind, Side, UsageRecord
from settlement.metering.verdicts import RequestVerdict

SHOWN = 100  # requests told one by one


class Discrepancy(Struct):
    """One kind of discrepancy over all requests of a pair.

    Figures in milli-contract-tokens: what each side says of the requests in question (0 where it says nothing), and
    what settles. The tuples are raw tokens by bucket, in the order of `SETTLED_BUCKETS`. `shown` are the first requests
    by id.
    """

    kind: CaseKind
    requests: int
    provider_millitokens: int
    buyer_millitokens: int
    settled_millitokens: int
    provider_tokens: tuple[int, ...]
    buyer_tokens: tuple[int, ...]
    shown: tuple[RequestVerdict, ...]


def discrepancies_of(requests: Iterable[RequestVerdict], joined: Iterable[Joined]) -> tuple[Discrepancy, ...]:
    """One for each kind that there is, in the order of `CaseKind`, of verdicts and what each was made on."""
    by_kind: dict[CaseKind, list[tuple[RequestVerdict, Joined]]] = {}
    for request, said in zip(requests, joined, strict=True):
        for kind in request.kinds:
            by_kind.setdefault(kind, []).append((request, said))
    return tuple(_summed(kind, *zip(*by_kind[kind], strict=True)) for kind in CaseKind if kind in by_kind)


def _summed(kind: CaseKind, requests: tuple[RequestVerdict, ...], joined: tuple[Joined, ...]) -> Discrepancy:
    ends = [said.ends for said in joined]
    return Discrepancy(
        kind=kind,
        requests=len(requests),
        provider_millitokens=sum(request.provider_millitokens or 0 for request in requests),
        buyer_millitokens=sum(request.buyer_millitokens or 0 for request in requests),
        settled_millitokens=sum(request.settled_millitokens for request in requests),
        provider_tokens=_tokens(each.get(Side.PROVIDER) for each in ends),
        buyer_tokens=_tokens(each.get(Side.BUYER) for each in ends),
        shown=requests[:SHOWN],
    )


def _tokens(records: Iterable[UsageRecord | None]) -> tuple[int, ...]:
    sums = [0] * len(SETTLED_BUCKETS)
    for record in records:
        if record is not None:
            for place, count in enumerate(record.delivered_tokens):
                sums[place] += count
    return tuple(sums)
