"""Every way to tamper with a bundle that a recomputation has a reason for, and the reason."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable

from settlement.recompute.faults import FaultCode
from settlement.recompute.manifest import MANIFEST
from tests.integration.settlement.tampered_bundles import (
    ACCOUNT,
    ENTRIES,
    EVENTS,
    INPUT,
    RECORDS,
    RUN,
    SIGNED,
    Tampered,
    doubled_member,
    enlarge,
    event,
    for_something_else,
    linked,
    of_nobody,
    other_tokens,
    other_weight_too,
    other_weight_unsaid,
    others_statement,
    owes_more,
    owing,
    paid_before,
    set_,
    without_salt,
    without_statements,
)

TAMPERINGS: dict[str, tuple[FaultCode, Callable[[Tampered], object]]] = {
    "no manifest": (FaultCode.UNREADABLE, lambda to: (to.path / MANIFEST).unlink()),
    "manifest of another form": (FaultCode.WRONG_SCHEMA, lambda to: to.manifest(lambda m: m.update(schema="x/1"))),
    "manifest without its run": (FaultCode.WRONG_SCHEMA, lambda to: to.manifest(lambda m: m.pop("run") and None)),
    "run without its key": (
        FaultCode.WRONG_SCHEMA,
        lambda to: to.manifest(lambda m: m["run"].pop("sequence") and None),
    ),
    "manifest that is no JSON": (FaultCode.FILE_MALFORMED, lambda to: (to.path / MANIFEST).write_text("{")),
    "name outside": (
        FaultCode.WRONG_SCHEMA,
        lambda to: to.manifest(lambda m: m["files"].update({"../keys.json": "00"})),
    ),
    "a file gone": (FaultCode.FILE_MISSING, lambda to: (to.path / RECORDS).unlink()),
    "a file more": (FaultCode.FILE_UNLISTED, lambda to: (to.path / "more").write_text("")),
    "a file changed": (FaultCode.FILE_CHANGED, lambda to: (to.path / SIGNED).write_text("{}")),
    "an input that is none": (FaultCode.FILE_MALFORMED, lambda to: to.json(INPUT, lambda v: v.pop("symbol") and None)),
    "an input in other words": (FaultCode.FILE_MALFORMED, lambda to: to.json(INPUT, lambda v: None)),
    "another price": (
        FaultCode.WRONG_INPUTS,
        lambda to: to.json(INPUT, lambda v: v.update(reference_price_micros="1"), canonical=True),
    ),
    "another contract": (FaultCode.WRONG_INPUTS, lambda to: to.manifest(lambda m: set_(m, "contracts", 0, to="X"))),
    "an event gone": (FaultCode.WRONG_EVENTS, lambda to: to.lines(EVENTS, lambda events: events[1:])),
    "an event twice": (FaultCode.WRONG_EVENTS, lambda to: to.lines(EVENTS, lambda events: [events[0], *events])),
    "events in another order": (FaultCode.WRONG_EVENTS, lambda to: to.lines(EVENTS, lambda events: events[::-1])),
    "no events": (FaultCode.WRONG_EVENTS, lambda to: to.bytes(EVENTS, lambda _: gzip.compress(b""))),
    "events that are none": (FaultCode.FILE_MALFORMED, lambda to: to.bytes(EVENTS, lambda _: gzip.compress(b"{}\n"))),
    "events not packed": (FaultCode.FILE_MALFORMED, lambda to: to.bytes(EVENTS, lambda _: b"{}\n")),
    "an event of other tokens": (FaultCode.WRONG_EVENT, lambda to: to.lines(EVENTS, other_tokens)),
    "an event of other tokens and weight": (FaultCode.WRONG_EVENT, lambda to: to.lines(EVENTS, other_weight_too)),
    "an event of other tokens without words": (
        FaultCode.RECORDS_DIFFER,
        lambda to: to.lines(EVENTS, other_weight_unsaid),
    ),
    "an entry gone": (FaultCode.WRONG_ENTRIES, lambda to: to.lines(ENTRIES, lambda entries: entries[1:])),
    "an entry of another amount": (
        FaultCode.WRONG_ENTRIES,
        lambda to: to.lines(ENTRIES, lambda entries: set_(entries, 0, "micros", to=1)),
    ),
    "an entry for something else": (FaultCode.WRONG_POSTINGS, lambda to: to.lines(ENTRIES, for_something_else)),
    "another hold": (FaultCode.CORE_DIFFERS, lambda to: to.json(ACCOUNT, lambda v: v.update(held_micros=1))),
    "another place in the chain": (FaultCode.CORE_DIFFERS, lambda to: to.json(ACCOUNT, lambda v: v.update(sequence=7))),
    "another seed": (FaultCode.WRONG_SEED, lambda to: to.json(ACCOUNT, lambda v: v.update(seed="00" * 32))),
    "another deadline": (
        FaultCode.CORE_DIFFERS,
        lambda to: to.manifest(lambda m: set_(m, "run", "dispute_until", to="2027-01-01T00:00:00Z")),
    ),
    "other records": (FaultCode.BAD_STATEMENT, lambda to: to.bytes(RECORDS, without_salt)),
    "truncated records": (
        FaultCode.BAD_STATEMENT,
        lambda to: to.bytes(RECORDS, lambda content: content[: content.rindex(b"\n", 0, -1) + 1]),
    ),
    "another's statement": (FaultCode.CORE_DIFFERS, others_statement),
    "a statement gone": (FaultCode.STATEMENT_MISSING, lambda to: to.remove(SIGNED)),
    "a party gone": (
        FaultCode.STATEMENT_MISSING,
        lambda to: to.manifest(lambda m: m["parties"].remove("provider-1")),
    ),
    "another checkpoint": (
        FaultCode.BAD_CHECKPOINT,
        lambda to: to.bytes("checkpoint", lambda note: note.replace(b"\n", b"0\n", 2)),
    ),
    "no checkpoint": (FaultCode.BAD_CHECKPOINT, lambda to: to.remove("checkpoint")),
    "no contracts": (FaultCode.WRONG_SCHEMA, lambda to: to.manifest(lambda m: m.update(contracts=[]))),
    "no statements": (FaultCode.WRONG_SCHEMA, without_statements),
    "a contract twice": (
        FaultCode.WRONG_SCHEMA,
        lambda to: to.manifest(lambda m: m.update(contracts=m["contracts"] * 2)),
    ),
    "parties twice": (FaultCode.WRONG_SCHEMA, lambda to: to.manifest(lambda m: m.update(parties=m["parties"] * 2))),
    "parties that are none": (FaultCode.WRONG_SCHEMA, lambda to: to.manifest(lambda m: m.update(parties=[[1]]))),
    "a run of no kind": (FaultCode.WRONG_SCHEMA, lambda to: to.manifest(lambda m: m["run"].pop("kind") and None)),
    "a period without offset": (
        FaultCode.WRONG_SCHEMA,
        lambda to: to.manifest(lambda m: set_(m, "run", "period", "start", to="2026-12-01T14:00:00")),
    ),
    "a member of the manifest twice": (FaultCode.FILE_MALFORMED, doubled_member),
    "another input digest": (
        FaultCode.WRONG_INPUTS,
        lambda to: to.manifest(lambda m: set_(m, "run", "input_digest", to="00" * 32)),
    ),
    "a file of nobody": (FaultCode.FILE_UNLISTED, of_nobody),
    "a link": (FaultCode.UNREADABLE, linked),
    "a special file": (FaultCode.UNREADABLE, lambda to: os.mkfifo(to.path / "pipe")),
    "a large file": (FaultCode.TOO_LARGE, enlarge),
    "keys that are none": (FaultCode.BAD_KEYS, lambda to: to.bytes("jwks.json", lambda _: b"[]")),
    "events after the end": (FaultCode.FILE_MALFORMED, lambda to: to.bytes(EVENTS, lambda packed: packed + bytes(9))),
    "events cut off": (FaultCode.FILE_MALFORMED, lambda to: to.bytes(EVENTS, lambda packed: packed[:-9])),
    "events damaged": (
        FaultCode.FILE_MALFORMED,
        lambda to: to.bytes(EVENTS, lambda packed: packed[:40] + b"\xff" * 300 + packed[340:]),
    ),
    "an event of another request": (FaultCode.WRONG_EVENT, lambda to: to.lines(EVENTS, event(request_id="other"))),
    "an event in other words": (FaultCode.WRONG_EVENT, lambda to: to.lines(EVENTS, event(said="{}"))),
    "an event accepted elsewhen": (
        FaultCode.WRONG_EVENT,
        lambda to: to.lines(EVENTS, event(said="", accepted_at="2026-12-01T13:59:59Z")),
    ),
    "an event that was there too early": (
        FaultCode.WRONG_EVENT,
        lambda to: to.lines(EVENTS, event(received_at="1999-12-01T14:00:00Z")),
    ),
    "an event of an unknown meter": (FaultCode.WRONG_EVENT, lambda to: to.lines(EVENTS, event(meter=99_999))),
    "an event of many requests": (FaultCode.WRONG_EVENT, lambda to: to.lines(EVENTS, event(said="", requests=2))),
    "an event of no requests": (FaultCode.FILE_MALFORMED, lambda to: to.lines(EVENTS, event(requests=-5))),
    "an event answered before": (FaultCode.FILE_MALFORMED, lambda to: to.lines(EVENTS, event(ttft_ms=-7))),
    "an event without offset": (
        FaultCode.FILE_MALFORMED,
        lambda to: to.lines(EVENTS, event(accepted_at="2026-12-01T14:17:20")),
    ),
    "an event without a hash": (FaultCode.FILE_MALFORMED, lambda to: to.lines(EVENTS, event(hash="zz"))),
    "an event of no kind": (FaultCode.FILE_MALFORMED, lambda to: to.lines(EVENTS, event(kind="nonsense"))),
    "an event of one token": (FaultCode.FILE_MALFORMED, lambda to: to.lines(EVENTS, event(tokens=[1]))),
    "a seed that is none": (FaultCode.FILE_MALFORMED, lambda to: to.json(ACCOUNT, lambda v: v.update(seed="zz"))),
    "a hold of less than nothing": (
        FaultCode.FILE_MALFORMED,
        lambda to: to.json(ACCOUNT, lambda v: v.update(held_micros=-1)),
    ),
    "a debt of too much": (FaultCode.WRONG_DEBTS, lambda to: to.lines("accounts/model-lab.jsonl.gz", owes_more)),
    "a claim on somebody else": (
        FaultCode.WRONG_DEBTS,
        lambda to: to.post("buyer-1", micros=-70, ref="claim", reference=owing(to)["reference"]),
    ),
    "a claim of what is owed": (
        FaultCode.WRONG_DEBTS,
        lambda to: to.post("buyer-1", micros=70, ref="claim", reference=owing(to)["reference"]),
    ),
    "a debt that was paid to nobody": (
        FaultCode.WRONG_DEBTS,
        lambda to: to.post(
            "buyer-1", micros=-70, kind="clear_debt", ref="", reference=f"{RUN}/buyer-1/buyer-2/clear_debt"
        ),
    ),
    "a posting for nothing": (
        FaultCode.WRONG_POSTINGS,
        lambda to: to.post("buyer-1", micros=-50, ref="damages", reference=f"{RUN}/OTHER/b/p/adjustment"),
    ),
    "earlier figures": (FaultCode.WRONG_EARLIER, lambda to: to.json(INPUT, paid_before, canonical=True)),
}
