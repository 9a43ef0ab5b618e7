"""A party's account in a bundle: its balances, and the entries that lead from one to the other. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import msgspec
from msgspec import Meta

from settlement.adjustments import ADJUSTMENT, CLAIM_REF, DEBT_REF
from settlement.postings import SETTLE, SOURCE
from settlement.recompute.bundle import Bundle
from settlement.recompute.faults import BundleFault, FaultCode
from settlement.recompute.manifest import Count, Digest
from settlement.statements.document import Balances, Movement
from settlement.statements.party_line import PartyLine

Seed = Annotated[str, Meta(pattern="^([0-9a-f]{64})?\\Z")]


class AccountBalances(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Micros, and the account's sequence numbers. `seed` is what the salts of its records follow from, in hex;
    `sequence` and `previous_digest` are the statement's place in its chain, none for an indicative one."""

    opening_micros: int
    opening_seq: Count
    closing_micros: int
    closing_seq: Count
    held_micros: Count
    seed: Seed
    sequence: Count | None = None
    previous_digest: Digest | None = None


class AccountEntry(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An entry with the kind, source and reference of its transaction."""

    seq: int
    micros: int
    kind: str
    source: str
    reference: str
    ref: str


@dataclass(frozen=True, slots=True)
class PartyAccount:
    """Balances and entries that fit each other."""

    balances: AccountBalances
    entries: Sequence[AccountEntry]

    def stated(self) -> Balances:
        """As a statement tells them."""
        found = self.balances
        return Balances(
            opening_micros=found.opening_micros,
            opening_seq=found.opening_seq,
            movements=tuple(_movements(self.entries)),
            closing_micros=found.closing_micros,
            closing_seq=found.closing_seq,
            held_micros=found.held_micros,
        )

    def uncovered(self, references: Collection[str]) -> Iterator[AccountEntry]:
        """What the ledger says under these references that no figures do: what is owed, and to whom."""
        for entry in self.entries:
            if entry.source == SOURCE and entry.reference in references and entry.ref in (DEBT_REF, CLAIM_REF):
                yield entry

    def of_run(self, run_key: str) -> Iterator[AccountEntry]:
        """What settlement posted in the name of a run."""
        for entry in self.entries:
            if entry.source == SOURCE and entry.reference.startswith(f"{run_key}/"):
                yield entry

    def differing(self, lines: Iterable[PartyLine], references: Collection[str]) -> str:
        """Where the lines under these references do not sum to the entries under them; empty if they do."""
        moved: dict[tuple[str, str], int] = defaultdict(int)
        for line in lines:
            if line.reference:
                moved[line.reference, line.ref] += line.amount_micros
        for entry in self.entries:
            if entry.source == SOURCE and entry.reference in references:
                moved[entry.reference, entry.ref] -= entry.micros
        wrong = sorted(key for key, micros in moved.items() if micros)
        return "" if not wrong else f"{wrong[0][0]}, {wrong[0][1]}: off by {moved[wrong[0]]} micros"


_balances = msgspec.json.Decoder(AccountBalances)
_entry = msgspec.json.Decoder(AccountEntry)


def read_account(bundle: Bundle, party: str) -> PartyAccount:
    """Raises `BundleFault` if the entries do not lead from opening to closing."""
    name = f"accounts/{party}"
    try:
        balances = _balances.decode(bundle.read(f"{name}.json"))
        entries = [_entry.decode(line) for line in bundle.lines(f"{name}.jsonl.gz")]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name}: {error}") from error
    numbers = [balances.opening_seq, *(entry.seq for entry in entries)]
    wrong = any(after != before + 1 for before, after in pairwise(numbers))
    if wrong or numbers[-1] != balances.closing_seq:
        raise BundleFault(FaultCode.WRONG_ENTRIES, f"{name}: an entry is missing, doubled or out of order")
    closing = balances.opening_micros + sum(entry.micros for entry in entries)
    if closing != balances.closing_micros:
        detail = f"{name}: the entries lead to {closing} micros, not to {balances.closing_micros}"
        raise BundleFault(FaultCode.WRONG_ENTRIES, detail)
    return PartyAccount(balances, entries)


def _movements(entries: Iterable[AccountEntry]) -> Iterator[Movement]:
    """Entries by kind of transaction, those of settlement by what they are for; the same as
    `settlement.statements.entries.movements` has the database do."""
    sums: Mapping[str, list[int]] = defaultdict(lambda: [0, 0])
    for entry in entries:
        settles = entry.kind in (SETTLE, ADJUSTMENT) and entry.ref
        moved = sums[entry.ref.partition(":")[0] if settles else entry.kind]
        moved[0] += 1
        moved[1] += entry.micros
    for kind, (count, micros) in sorted(sums.items()):
        yield Movement(kind, count, micros)
