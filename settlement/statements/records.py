"""A statement's records: one canonical JSON text a line, under a Merkle root, and what they add up to. Pure.

A record is a line of the statement, what the meters said about a position, or a share of what a position brought. It
carries a salt of its own, so that whoever is shown one record with its path cannot try what the others say. Leaf hashes
are over the bytes as they stand in the file.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from ledger.merkle import RootFold, leaf_hash
from ledger.money import format_micros
from settlement.postings import SOURCE
from settlement.statements.document import format_time
from settlement.statements.party_line import PartyLine, PositionSplit

SALT_BYTES = 16
_SEED_PURPOSE = b"tokenbourse line seed\0"
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
        self._fold = RootFold()
        self._counts = {"line": 0, "metering": 0, "split": 0}
        self._kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
        self._gross_in = self._gross_out = 0

    @property
    def count(self) -> int:
        """How many there were so far."""
        return self._fold.size

    def add(self, record: str, data: bytes) -> None:
        """One more record of this kind, by its bytes."""
        self._counts[record] += 1
        self._fold.add(leaf_hash(data))

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
            root=self._fold.root(),
            by_kind={kind: KindTotals(*totals) for kind, totals in sorted(self._kinds.items())},
            gross_in_micros=self._gross_in,
            gross_out_micros=self._gross_out,
        )


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
    for line in lines:
        fold.add_line(line)
        yield _record("line", _encode(_line_body(line)), seed, fold)
    for text in metering:
        yield _record("metering", text.encode(), seed, fold)
    for split in splits:
        yield _record("split", _encode(_split_body(split)), seed, fold)


def _record(kind: str, body: bytes, seed: bytes, fold: RecordsFold) -> bytes:
    number = fold.count + 1
    salt = hmac.digest(seed, b"%d" % number, "sha256")[:SALT_BYTES].hex()
    data = b'{"body":%b,"number":%d,"record":"%b","salt":"%b"}' % (body, number, kind.encode(), salt.encode())
    fold.add(kind, data)
    return data


def _line_body(line: PartyLine) -> dict[str, Any]:
    body: dict[str, Any] = {
        "contract": line.contract,
        "window": _window(line.window_start, line.window_end),
        "kind": line.kind,
        "amount": format_micros(line.amount_micros),
        "value": format_micros(line.value_micros),
        "cumulative": format_micros(line.cumulative_micros),
        "exact": f"{line.exact[0]}/{line.exact[1]}",
        "tax": {"category": line.tax_category, "rate_ppm": line.tax_rate_ppm},
    }
    if line.counterparty:
        body["counterparty"] = line.counterparty
    if line.beneficiary:
        body["beneficiary"] = line.beneficiary
    if line.tokens is not None:
        body["tokens"] = str(line.tokens)
        if line.price_micros is not None:
            body["price"] = format_micros(line.price_micros)
    if line.reference:
        body["journal"] = {"source": SOURCE, "reference": line.reference, "ref": line.ref}
    return body


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


@lru_cache(maxsize=256)  # a statement tells of few windows, many times
def _window(start: datetime, end: datetime) -> dict[str, str]:
    return {"start": format_time(start), "end": format_time(end)}
