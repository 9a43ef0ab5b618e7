"""Writing down what a party's statement of a run says: its records, its core, and the core's digest in the journal.

Everything follows from what the run wrote down and from ledger entries up to the closing balance taken when it closed,
so it is the same whenever and by whomever it is done. Records are written as they are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

from django.conf import settings
from django.db import connection

from ledger import journal
from ledger.drafts import TransactionDraft
from ledger.models import Party
from ledger.packing import packed_cursor
from settlement.minor_units import digits_of
from settlement.models import ClosingBalance, RunContract, RunKind, SettlementRun, StatedCore
from settlement.runs.earlier import POSTED
from settlement.statements.canonical import canonical_bytes
from settlement.statements.chain import Link, link_before
from settlement.statements.compose import RunInputs, StatedRun, StatementInput, compose_core
from settlement.statements.document import Balances, ChainLink
from settlement.statements.entries import movements
from settlement.statements.records import RecordsFold, RecordsSummary, line_seed, write_records
from settlement.statements.rows import party_lines, party_metering, party_splits

ACTOR = "settlement"
KIND = SOURCE = "statement"
KEY_SET = "/.well-known/jwks.json"
RECORDS_A_PART = 2_000
_ADD_PART = """
INSERT INTO settlement_statementpart (stated_id, number, first_record, records, content) VALUES (%s, %s, %s, %s, %b)
"""


def state_statement(closing: ClosingBalance, *, now: datetime) -> StatedCore:
    """State what the statement of a run says to the party whose closing balance this is. Inside the caller's
    transaction, once; the digest is posted last, so that trading waits for one small batch alone. Indicative
    statements stay out of chain and journal."""
    run, party = closing.run, closing.party
    before = link_before(run, party.pk)
    indicative = run.kind == RunKind.INDICATIVE
    stated_id = _next_id()
    summary = _write_parts(stated_id, run, party, _seed(closing, run, party))
    chain = None
    if not indicative:
        chain = ChainLink(1) if before is None else ChainLink(before.sequence + 1, before.core_digest)
    source = StatementInput(
        party=party.code,
        currency=run.currency.code,
        minor_unit=digits_of(run.currency.code),
        run=stated_run(run),
        chain=chain,
        balances=_balances(closing, before),
        inputs=RunInputs(run.usage_through, RunContract.objects.filter(run=run).count()),
        previous_run=_previous_run(run),
        contact=settings.STATEMENT_CONTACT,
        key_set=KEY_SET,
    )
    core = canonical_bytes(compose_core(source, summary))
    digest = hashlib.sha256(core).digest()
    return StatedCore.objects.create(
        pk=stated_id,
        run=run,
        party=party,
        currency=run.currency,
        sequence=None if chain is None else chain.sequence,
        core=core,
        digest=digest,
        previous_digest=None if chain is None else chain.previous_digest,
        records=summary.count,
        transaction_id=None if indicative else _post(run, f"{source.statement_id}/{digest.hex()}", now),
    )


def stated_run(run: SettlementRun) -> StatedRun:
    """A run as statements tell of it."""
    return StatedRun(
        key=run.key,
        kind=run.kind,
        sequence=run.sequence,
        period_start=run.period_start,
        period_end=run.period_end,
        input_digest=bytes(run.input_digest or b""),
        rules_version=run.rules_version,
        code_version=run.code_version,
        product=None if run.product is None else run.product.code,
        value_date=run.value_date,
        dispute_until=run.dispute_until,
    )


def _write_parts(stated_id: int, run: SettlementRun, party: Party, seed: bytes) -> RecordsSummary:
    fold = RecordsFold()
    records = write_records(party_lines(run, party), party_metering(run, party), party_splits(run, party), seed, fold)
    first = 1
    for number, part in enumerate(_blocks(records), start=1):
        with packed_cursor() as cursor:  # Django's own would send the content as a literal of twice its length
            cursor.execute(_ADD_PART, [stated_id, number, first, len(part), b"\n".join([*part, b""])])
        first += len(part)
    return fold.summary()


def _blocks(records: Iterable[bytes]) -> Iterator[list[bytes]]:
    records = iter(records)
    while block := list(islice(records, RECORDS_A_PART)):
        yield block


def _seed(closing: ClosingBalance, run: SettlementRun, party: Party) -> bytes:
    """As it was kept when the run closed."""
    if closing.line_seed is not None:
        return bytes(closing.line_seed)
    return line_seed(settings.KEY_ENCRYPTION_SECRET, f"{party.code}/{run.currency.code}/{run.key}")


def _balances(closing: ClosingBalance, before: Link | None) -> Balances:
    opening, opening_seq = (0, 0) if before is None else (before.balance_micros, before.account_seq)
    return Balances(
        opening_micros=opening,
        opening_seq=opening_seq,
        movements=movements(closing.account_id, after_seq=opening_seq, until_seq=closing.seq),
        closing_micros=closing.balance,
        closing_seq=closing.seq,
        held_micros=closing.held,
    )


def _previous_run(run: SettlementRun) -> str | None:
    """The key of the posted run whose figures this one changes: the last one before it of the same contracts."""
    if run.kind in (RunKind.INDICATIVE, RunKind.INITIAL):
        return None
    contracts = RunContract.objects.filter(run=run).values("contract_id")
    earlier = SettlementRun.objects.filter(
        pk__lt=run.pk, kind__in=POSTED, contracts__contract_id__in=contracts
    ).select_related("product")
    last = earlier.order_by("-pk").first()
    return None if last is None else last.key


def _post(run: SettlementRun, reference: str, now: datetime) -> int:
    """Put the digest into the journal, and so under the log; the number of its transaction."""
    draft = TransactionDraft(KIND, SOURCE, reference, run.period_end, ())
    (posted,) = journal.post([draft], actor=ACTOR, now=now)
    return posted.transaction_id


def _next_id() -> int:
    """The id of a core to come: its parts are written before it, and foreign keys are checked at the end."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('settlement_statedcore', 'id'))")
        return int(cursor.fetchone()[0])
