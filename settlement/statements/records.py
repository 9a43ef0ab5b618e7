"""A statement's records: one canonical JSON text a line, under a Merkle root, and what they add up to. Pure.

A record is a line of the statement, what the meters said about a position, or a share of what a position brought. It
carries a salt of its own, so that whoever is shown one record with its path cannot try what the others say. Leaf hashes
are over the bytes as they stand in the file.
"""

from __future__ import annotations

import hashlib
import hmac
from binascii import hexlify
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from ledger.merkle import RootFold, leaf_hash, tree_root
from ledger.money import format_micros
from settlement.postings import SOURCE
from settlement.statements.document import format_time
from settlement.statements.party_line import PartyLine, PositionSplit

SALT_BYTES = 16
_SEED_PURPOSE = b"tokenbourse line seed\0"
_LEAVES_AT_ONCE = 1_024  # a power of two: whole subtrees, which cost half of what single leaves do
# Members of statements have plain names, for which sorting by characters is the order of RFC 8785.
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class KindTotals:
    """What the lines of one kind add up to; tokens and micros."""

    lines: int
    tokens: int
    value_micros: int
    amount_micros: int
    cumulative_micros: int


@dataclass(frozen=True, slots=True)
class RecordsSummary:
    """What the core says of the records."""

    lines: int
    metering: int
    splits: int
    root: bytes
    by_kind: Mapping[str, KindTotals]
    gross_in_micros: int
    gross_out_micros: int  # at least 0

    @property
    def count(self) -> int:
        return self.lines + self.metering + self.splits


class RecordsFold:
    """Adds up records as they are written."""

    def __init__(self) -> None:
        self._fold = RootFold()  # of subtrees of `_LEAVES_AT_ONCE` leaves each
        self._leaves: list[bytes] = []
        self._counts = {"line": 0, "metering": 0, "split": 0}
        self._kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        self._gross_in = self._gross_out = 0

    @property
    def count(self) -> int:
        """How many there were so far."""
        return self._fold.size * _LEAVES_AT_ONCE + len(self._leaves)

    def add(self, record: str, data: bytes) -> None:
        """One more record of this kind, by its bytes."""
        self._counts[record] += 1
        self._leaves.append(leaf_hash(data))
        if len(self._leaves) == _LEAVES_AT_ONCE:
            self._fold.add(tree_root(self._leaves))
            self._leaves.clear()

    def add_line(self, line: PartyLine) -> None:
        """What a line contributes to the totals."""
        totals = self._kinds[line.kind]
        totals[0] += 1
        totals[1] += line.tokens or 0
        totals[2] += line.value_micros
        totals[3] += line.amount_micros
        totals[4] += line.cumulative_micros
        if line.amount_micros > 0:
            self._gross_in += line.amount_micros
        else:
            self._gross_out -= line.amount_micros

    def summary(self) -> RecordsSummary:
        """The sums over what came so far."""
        return RecordsSummary(
            lines=self._counts["line"],
            metering=self._counts["metering"],
            splits=self._counts["split"],
            root=self._root(),
            by_kind={kind: KindTotals(*totals) for kind, totals in sorted(self._kinds.items())},
            gross_in_micros=self._gross_in,
            gross_out_micros=self._gross_out,
        )

    def _root(self) -> bytes:
        whole = RootFold(self._fold.size, self._fold.peaks)
        if self._leaves:
            whole.add(tree_root(self._leaves))
        return whole.root()


class _LineBody(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A line as it is written: its members in their order, without those that it has none of."""

    amount: str
    beneficiary: str = ""
    contract: str
    counterparty: str = ""
    cumulative: str
    exact: str
    journal: _Journal | None = None
    kind: str
    price: str = ""
    tax: msgspec.Raw
    tokens: str = ""
    value: str
    window: msgspec.Raw


class _Journal(msgspec.Struct):
    """Where a line stands in the ledger."""

    ref: str
    reference: str
    source: str = SOURCE


class _Salts:
    """HMAC-SHA-256 (RFC 2104) of the records' numbers under a statement's seed, shortened.

    The two hashes are begun once: with `hmac.digest` the seed would be hashed again for each record.
    """

    def __init__(self, seed: bytes) -> None:
        block = (seed if len(seed) <= 64 else hashlib.sha256(seed).digest()).ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def of(self, number: int) -> bytes:
        """In hexadecimal."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(b"%d" % number)
        outer.update(inner.digest())
        return hexlify(outer.digest()[:SALT_BYTES])


def line_seed(secret: str, statement_id: str) -> bytes:
    """What a statement's salts follow from. Kept with the closing balance, whatever becomes of the secret."""
    return hmac.digest(secret.encode(), _SEED_PURPOSE + statement_id.encode(), "sha256")


def write_records(
    lines: Iterable[PartyLine],
    metering: Iterable[str],
    splits: Iterable[PositionSplit],
    seed: bytes,
    fold: RecordsFold,
) -> Iterator[bytes]:
    """The records in their order, without line ends, one at a time; `fold` adds them up on the way.

    `metering` are canonical JSON texts already. The file is these with a line feed after each.
    """
    salts = _Salts(seed)
    for line in lines:
        fold.add_line(line)
        yield _record("line", _encode(_line_body(line)), salts, fold)
    for text in metering:
        yield _record("metering", text.encode(), salts, fold)
    for split in splits:
        yield _record("split", _encode(_split_body(split)), salts, fold)


def _record(kind: str, body: bytes, salts: _Salts, fold: RecordsFold) -> bytes:
    number = fold.count + 1
    salt = salts.of(number)
    data = b'{"body":%b,"number":%d,"record":"%b","salt":"%b"}' % (body, number, kind.encode(), salt)
    fold.add(kind, data)
    return data


def _line_body(line: PartyLine) -> _LineBody:
    # What a run changed is mostly what moved, and all that there was: written once.
    amount = format_micros(line.amount_micros)
    value = amount if line.value_micros == line.amount_micros else format_micros(line.value_micros)
    cumulative = value if line.cumulative_micros == line.value_micros else format_micros(line.cumulative_micros)
    price = None if line.tokens is None else line.price_micros
    numerator, denominator = line.exact
    return _LineBody(
        amount=amount,
        beneficiary=line.beneficiary,
        contract=line.contract,
        counterparty=line.counterparty,
        cumulative=cumulative,
        exact=f"{numerator}/{denominator}",
        journal=_Journal(line.ref, line.reference) if line.reference else None,
        kind=line.kind,
        price="" if price is None else format_micros(price),
        tax=_tax(line.tax_category, line.tax_rate_ppm),
        tokens="" if line.tokens is None else str(line.tokens),
        value=value,
        window=_window(line.window_start, line.window_end),
    )


def _split_body(split: PositionSplit) -> dict[str, Any]:
    return {
        "contract": split.contract,
        "buyer": split.buyer,
        "provider": split.provider,
        "kind": split.kind,
        "schedule_version": split.schedule_version,
        "beneficiary": split.beneficiary,
        "weight_ppm": split.weight_ppm,
        "amount": format_micros(split.micros),
    }


@lru_cache(maxsize=256)  # a statement tells of few windows and taxes, many times
def _window(start: datetime, end: datetime) -> msgspec.Raw:
    return msgspec.Raw(_encode({"start": format_time(start), "end": format_time(end)}))


@lru_cache(maxsize=256)
def _tax(category: str, rate_ppm: int) -> msgspec.Raw:
    return msgspec.Raw(_encode({"category": category, "rate_ppm": rate_ppm}))
