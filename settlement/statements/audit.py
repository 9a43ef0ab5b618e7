"""What statements tell the audit: that what was stated, posted, kept as records and signed is one and the same."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from psycopg import sql

from ledger.audit import Check, Finding, Layout, Looked, Span, View, cut_to_size, looked, register_check
from ledger.audit.registry import by_transactions
from ledger.merkle import EMPTY_ROOT, RootFold, leaf_hash
from settlement.errors import InvalidStatement
from settlement.models import RunKind, RunState
from settlement.statements.canonical import canonical_digest
from settlement.statements.signing import envelope_parts
from settlement.statements.stating import KIND, SOURCE

RECORDS_A_RANGE = 20_000
STATEMENTS_A_RANGE = 500

# A statement's name, put together beside `SettlementRun.key` and `statement_id`.
_NAME = sql.SQL(
    """
    party.code || '/' || currency.code || '/' || coalesce(product.code || '/', '')
    || to_char(run.period_start AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MI"Z"/')
    || (extract(epoch FROM run.period_end - run.period_start) / 60)::bigint || '/' || run.kind
    || CASE run.sequence WHEN 1 THEN '' ELSE '-' || run.sequence END
    """
)
_OF_WHAT = sql.SQL(
    """
      JOIN ledger_party AS party ON party.id = told.party_id
      JOIN ledger_asset AS currency ON currency.id = told.currency_id
      JOIN settlement_settlementrun AS run ON run.id = told.run_id
      LEFT JOIN exchange_product AS product ON product.id = run.product_id
    """
)
_NAMELESS = sql.SQL(
    """
    SELECT posted.id, posted.kind, posted.source, posted.reference, posted.legs
      FROM ledger_transaction AS posted
     WHERE posted.id BETWEEN %(first)s AND %(last)s AND (posted.source = {source} OR posted.kind = {kind})
       AND (posted.source <> {source} OR posted.kind <> {kind} OR posted.legs <> 0
            OR NOT EXISTS (SELECT FROM settlement_statedcore AS told WHERE told.transaction_id = posted.id))
     ORDER BY posted.id
    """
).format(source=SOURCE, kind=KIND)
_CORES = sql.SQL(
    """
    SELECT told.id, {name}, told.core, told.digest, told.sequence, told.previous_digest, told.records,
           run.kind = {indicative}, told.transaction_id,
           (SELECT reference FROM ledger_transaction WHERE id = told.transaction_id AND source = {source}),
           run.state = {published}
           AND NOT EXISTS (SELECT FROM settlement_statement AS signed WHERE signed.stated_id = told.id)
      FROM settlement_statedcore AS told {of_what}
     WHERE told.id BETWEEN %(first)s AND %(last)s ORDER BY told.id
    """
).format(
    name=_NAME, of_what=_OF_WHAT, indicative=RunKind.INDICATIVE.value, published=RunState.PUBLISHED.value, source=SOURCE
)
# How many records there are is a row's word, which may be anybody's.
_STRETCHES = """
    SELECT max(id), sum(1 + greatest(0, least(records, 1000000)))::bigint FROM settlement_statedcore
     GROUP BY id / 16 ORDER BY 1
"""
_PARTS = """
    SELECT stated_id, number, first_record, records, content FROM settlement_statementpart
     WHERE stated_id BETWEEN %(first)s AND %(last)s ORDER BY stated_id, number
"""
_SIGNED = sql.SQL(
    """
    SELECT {name}, told.jws, told.core_digest,
           told.stated_id IS NULL
           OR (told.run_id, told.party_id, told.currency_id, told.core_digest)
              = (stated.run_id, stated.party_id, stated.currency_id, stated.digest)
          AND (told.sequence, told.previous_digest) IS NOT DISTINCT FROM (stated.sequence, stated.previous_digest)
      FROM settlement_statement AS told {of_what}
      LEFT JOIN settlement_statedcore AS stated ON stated.id = told.stated_id
     WHERE told.id BETWEEN %(first)s AND %(last)s ORDER BY told.id
    """
).format(name=_NAME, of_what=_OF_WHAT)
_KEYS = "SELECT kid, public_jwk ->> 'x' FROM ledger_signingkey"


def _by_cores(view: View, _layout: Layout) -> Sequence[Span]:
    """All of them every time: their rows can be changed long after they were posted."""
    return cut_to_size(view.rows(_STRETCHES), RECORDS_A_RANGE)


def _by_statements(view: View, _layout: Layout) -> Sequence[Span]:
    stretches = "SELECT max(id), count(*) FROM settlement_statement GROUP BY id / 64 ORDER BY 1"
    return cut_to_size(view.rows(stretches), STATEMENTS_A_RANGE)


def _posted(view: View, span: Span) -> Looked:
    def tell(number: int, kind: str, source: str, reference: str, legs: int) -> Finding:
        told = f"a {kind} of source {source} with {legs} legs, {reference!r}, is what no stated core was posted by"
        return Finding(f"transaction {number}", told)

    names = asdict(span) | {"source": SOURCE}
    counted = "SELECT count(*) FROM ledger_transaction WHERE id BETWEEN %(first)s AND %(last)s AND source = %(source)s"
    ((rows,),) = view.rows(counted, names)
    return view.look(_NAMELESS, names, tell, rows=rows)


@dataclass(frozen=True, slots=True)
class _Records:
    """What a core says of its records, or what its parts come to."""

    count: int = 0
    root: bytes = EMPTY_ROOT
    misplaced: int | None = None  # the first part that does not go on where the one before it ends


def _stated(view: View, span: Span) -> Looked:
    """Memory is that of one part of the records and of a range of names, however long a statement is."""

    def findings() -> Iterator[Finding]:
        said: dict[int, tuple[str, _Records]] = {}
        for number, name, core, *row in view.stream(_CORES, asdict(span)):
            yield from (Finding(f"statement {name}", told) for told in _core_faults(name, core, *row))
            said[number] = (name, _said_of_records(core))
        for number, found in _kept_records(view, span):
            name, wanted = said.pop(number, (f"without a core, {number}", _Records()))
            yield from (Finding(f"statement {name}", told) for told in _record_faults(wanted, found))
        for name, wanted in said.values():
            yield from (Finding(f"statement {name}", told) for told in _record_faults(wanted, _Records()))

    return looked(span.rows, findings())


def _core_faults(
    name: str,
    core: bytes,
    digest: bytes,
    sequence: int | None,
    previous: bytes | None,
    records: int,
    indicative: bool,
    number: int | None,
    reference: str | None,
    unsigned: bool,
) -> Iterator[str]:
    true_digest = hashlib.sha256(core).hexdigest()
    if true_digest != digest.hex():
        yield f"its core has the digest {true_digest}, recorded is {digest.hex()}"
    if indicative:
        if number is not None:
            yield f"it is indicative, and names transaction {number}"
    elif reference != f"{name}/{true_digest}":
        told = "nothing" if reference is None else repr(reference)
        yield f"its core has the digest {true_digest}, the journal holds {told} in transaction {number}"
    said = _parsed(core)
    row = (name, sequence, None if previous is None else previous.hex(), records)
    if (*(said.get(each) for each in ("statement_id", "sequence", "previous_digest")), _count(said)) != row:
        yield "its core is of another statement, place in the chain or number of records than its row"
    if unsigned:
        yield "its run is published, and it is not signed"


def _parsed(core: bytes) -> dict[str, Any]:
    """A core's members; none of what is no JSON object."""
    try:
        value = json.loads(core)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _count(core: dict[str, Any]) -> object:
    records = core.get("records")
    return records.get("count") if isinstance(records, dict) else None


def _said_of_records(core: bytes) -> _Records:
    try:
        records = _parsed(core)["records"]
        return _Records(records["count"], bytes.fromhex(records["root"]))
    except (KeyError, TypeError, ValueError):
        return _Records(-1, b"")  # what no parts come to


def _kept_records(view: View, span: Span) -> Iterator[tuple[int, _Records]]:
    """What the parts of each core that has some come to, hashed again as they stand in the file."""
    for number, parts in groupby(view.stream(_PARTS, asdict(span)), key=itemgetter(0)):
        fold, misplaced = RootFold(), None
        for place, (_, part, first, count, content) in enumerate(parts, start=1):
            *lines, rest = content.split(b"\n")
            if (part, first, count, rest) != (place, fold.size + 1, len(lines), b"") and misplaced is None:
                misplaced = part
            for line in lines:
                fold.add(leaf_hash(line))
        yield number, _Records(fold.size, fold.root(), misplaced)


def _record_faults(said: _Records, found: _Records) -> Iterator[str]:
    if found.misplaced is not None:
        yield f"part {found.misplaced} of its records is not the next one, not as long as it says, or not whole lines"
    if (said.count, said.root) != (found.count, found.root):
        yield (
            f"its {found.count} records have the root {found.root.hex()}, "
            f"its core says {said.count} and {said.root.hex()}"
        )


def _signed(view: View, span: Span) -> Looked:
    """Whether a key may sign, and when, is the verifier's question: what a revoked one signed stays as it was."""
    keys = {kid: _decoded(x) for kid, x in view.rows(_KEYS)}

    def findings() -> Iterator[Finding]:
        for name, jws, digest, agrees in view.stream(_SIGNED, asdict(span)):
            if not agrees:
                yield Finding(f"statement {name}", "its row is not of the stated core that it names")
            held = _signed_digests(jws, keys)
            if held is None:
                yield Finding(f"statement {name}", "its file is not a statement that a key of the house signed")
            elif held != (digest.hex(), digest.hex()):
                told = f"its file holds a core of digest {held[0]} and calls it {held[1]}, recorded is {digest.hex()}"
                yield Finding(f"statement {name}", told)

    return looked(span.rows, findings())


def _signed_digests(jws: str, keys: Mapping[str, bytes]) -> tuple[str, str] | None:
    """The digest of the core that a file holds, and which one it names; None for what none of the keys signed."""
    try:
        encoded, (signature,) = envelope_parts(jws.encode())
        protected = signature["protected"]
        key = Ed25519PublicKey.from_public_bytes(keys[json.loads(_decoded(protected))["kid"]])
        key.verify(_decoded(signature["signature"]), f"{protected}.{encoded}".encode())
        payload = json.loads(_decoded(encoded))
        return canonical_digest(payload["core"]).hex(), str(payload["core_digest"])
    except (InvalidSignature, InvalidStatement, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _decoded(base64url: str) -> bytes:
    return base64.urlsafe_b64decode(base64url + "=" * (-len(base64url) % 4))


def register() -> None:
    """Tell the audit; once, at start-up."""
    checks = (
        Check(
            "settlement.posted_statements",
            "Every statement in the journal is a stated core's, once",
            "Somebody posted another statement beside the one that was stated: its proof verifies. Tell the party and"
            " the auditors which one is the house's, and find out who could post.",
            _posted,
            by_transactions,
        ),
        Check(
            "settlement.stated",
            "Every stated core is what the journal holds the digest of, and its records are those under its root",
            "The digest in the journal tells which bytes are right: take them from a backup, or from the party's copy"
            " of the statement.",
            _stated,
            _by_cores,
        ),
        Check(
            "settlement.signed",
            "Every signed statement holds the core that was stated, under a signature of the house",
            "Take the file from a backup, or from the party; what was stated is not in question.",
            _signed,
            _by_statements,
        ),
    )
    for check in checks:
        register_check(check)
