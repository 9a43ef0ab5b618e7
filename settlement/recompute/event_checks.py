"""What an event of a bundle can be: nothing that intake would have set aside, and what its meter's words say. Pure."""

from __future__ import annotations

from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.decode import BadEvent, Report, decode_event
from settlement.metering.families import adapter_version, extract
from settlement.metering.judge import CLOCK_TOLERANCE
from settlement.metering.records import NO_TOKENS, Side
from settlement.recompute.event_lines import BundledEvent
from settlement.recompute.manifest import ManifestMeter
from settlement.runs.frozen import FrozenContract


def implausible(frozen: FrozenContract, meter: ManifestMeter | None, event: BundledEvent) -> str:
    """Why no event that settles can be like this one, empty if it can."""
    if meter is None or meter.side != event.side:
        return "its meter is not one of the manifest's, or reports for another side"
    own = event.provider if event.side is Side.PROVIDER else event.buyer
    if event.side is not Side.GATEWAY and meter.party != own:
        return f"the meter {meter.code} is another party's"
    if not frozen.delivery_start <= event.accepted_at < frozen.delivery_end:
        return "it was accepted outside the delivery window"
    if event.received_at < event.accepted_at - CLOCK_TOLERANCE:
        return "it arrived before it was accepted"
    if (event.refusal is not None) != (event.kind == "refused"):
        return "it has a reason for a refusal and is none, or the other way round"
    if event.kind != "aggregate" and event.requests != 1:
        return f"it counts as {event.requests} requests and is no aggregate"
    if event.kind != "completed" and (event.ttft_ms, event.output_ms) != (None, None):
        return "it has timings and no request was completed"
    return ""


def check_words(event: BundledEvent, *, contract: str, source: str) -> tuple[str, bool]:
    """What an event says other than its meter `source` did in the words that its hash is over, empty if nothing; and
    whether they prove it: its tokens only if the code at hand is of the version that once read them."""
    if not event.said:
        return "", False
    try:
        report = decode_event(as_sent(event.said))
    except BadEvent as bad:
        return f"its words are no event: {bad.message}", False
    if not isinstance(report, Report) or report.content_hash.hex() != event.hash:
        return "its hash is not that of its words", False
    wrong = [name for name, (here, said) in _pairs(event, report, contract, source).items() if here != said]
    readable = report.raw is None or event.adapter == adapter_version(report.family)
    if readable and event.tokens != _tokens(report):
        wrong.append("tokens")
    return f"its meter said otherwise: {', '.join(wrong)}" if wrong else "", readable


def _tokens(report: Report) -> tuple[int, ...]:
    if report.raw is None:
        return NO_TOKENS
    buckets = extract(report.family, report.usage).buckets
    return tuple(getattr(buckets, bucket.value) for bucket in SETTLED_BUCKETS)


def as_sent(said: str) -> bytes:
    """The words of an event as an event; their form is the only one that the hash leaves out."""
    return b'{"specversion":"1.0",' + said.removeprefix("{").encode("utf-8", "surrogatepass")


def _pairs(event: BundledEvent, report: Report, contract: str, source: str) -> dict[str, tuple[object, object]]:
    """What is here beside what was said."""
    return {
        "contract": (contract, report.contract),
        "source": (source, report.source),
        "buyer": (event.buyer, report.buyer),
        "provider": (event.provider, report.provider),
        "kind": (event.kind, report.kind),
        "request_id": (event.request_id, report.request_id),
        "accepted_at": (event.accepted_at, report.accepted_at),
        "refusal": (event.refusal, report.refusal),
        "retry_of": (event.retry_of, report.retry_of),
        "requests": (event.requests, report.requests),
        "ttft_ms": (event.ttft_ms, report.ttft_ms),
        "output_ms": (event.output_ms, report.output_ms),
        "supersedes": (event.supersedes, report.supersedes is not None),
    }
