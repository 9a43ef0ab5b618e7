"""The step that makes a party's statement of a run: compose, sign, keep, in one transaction.

The core follows from what the run wrote down and from ledger entries up to the closing balance taken when it closed, so
it is the same whenever and by whomever it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ledger import journal
from ledger.keys.ring import current_signing_key
from ledger.models import Party, Transaction
from settlement.models import ClosingBalance, SettlementRun, Statement
from settlement.runs.close import previous_statement, publish_run
from settlement.runs.jobs import Claim, finish_job, holding
from settlement.runs.statement_lines import party_content
from settlement.statements.document import (
    Annex,
    Balances,
    ChainLink,
    RunInfo,
    StatementCore,
    StatementLine,
    core_digest,
    statement_core,
    statement_payload,
)
from settlement.statements.entries import movements
from settlement.statements.signing import Signer

KEY_SET = "/.well-known/jwks.json"
_NUMBER = {"initial": 1, "final": 2}


def state_party(claim: Claim, *, now: datetime) -> list[int]:
    """Make the statement of a claimed job; returns the jobs that became due by it."""
    with holding(claim) as job:
        run, party = job.run, Party.objects.get(id=job.subject_id)
        closing = ClosingBalance.objects.get(run=run, party=party)
        before = previous_statement(run, party.id)
        statement = _compose(run, party, closing, before)
        core = statement_core(statement)
        _, private_key = current_signing_key()
        annex = Annex(issued_at=now, transactions=_transactions(statement.lines), key_set=KEY_SET)
        signed = Signer(private_key).sign(statement_payload(core, annex), signed_at=now)
        digest = core_digest(core)
        Statement.objects.create(
            run=run,
            party=party,
            currency=run.currency,
            sequence=1 if before is None else before[0].sequence + 1,
            core_digest=digest,
            previous_digest=None if before is None else before[0].core_digest,
            jws=signed.decode("ascii"),
            issued_at=now,
        )
        journal.lock_head()  # last finishers come one after the other
        finish_job(job, digest)
        return publish_run(run.id, now=now)


def _compose(
    run: SettlementRun, party: Party, closing: ClosingBalance, before: tuple[Statement, ClosingBalance] | None
) -> StatementCore:
    opening = (0, 0) if before is None else (before[1].balance, before[1].seq)
    chain = ChainLink(1) if before is None else ChainLink(before[0].sequence + 1, bytes(before[0].core_digest))
    content = party_content(run, party, closing)
    return StatementCore(
        party=party.code,
        currency=run.currency.code,
        run=RunInfo(
            key=run.key,
            kind=run.kind,
            number=_NUMBER[run.kind],
            period_start=run.period_start,
            period_end=run.period_end,
            input_digest=bytes(run.input_digest or b""),
            rules_version=run.rules_version,
        ),
        chain=chain,
        balances=Balances(
            opening_micros=opening[0],
            opening_seq=opening[1],
            movements=movements(closing.account_id, after_seq=opening[1], until_seq=closing.seq),
            closing_micros=closing.balance,
            closing_seq=closing.seq,
            held_micros=closing.held,
        ),
        lines=content.lines,
        metering=content.metering,
        splits=content.splits,
    )


def _transactions(lines: Sequence[StatementLine]) -> list[tuple[str, str, int]]:
    """The numbers under which the ledger posted what the lines name."""
    references = {line.reference for line in lines if line.reference is not None}
    sources = {line.source for line in lines if line.source is not None}
    posted = Transaction.objects.filter(source__in=sources, reference__in=references).order_by("id")
    return [(row.source, row.reference, row.id) for row in posted]
