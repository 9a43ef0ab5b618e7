"""A statement as comma-separated values (RFC 4180, UTF-8): one table, the kind of row in its first column.

Rows of kind `statement` come first and name party, currency, run and digest; then the `balance` rows, then one row for
each record. Every amount has six fraction digits; a column that a row has nothing for is empty.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from settlement.statements.content import stated_digest

COLUMNS = (
    "row", "number", "contract", "window_start", "window_end", "kind", "buyer", "provider", "counterparty",
    "beneficiary", "tokens", "price", "value", "amount", "cumulative", "exact_micros", "tax_category", "tax_rate_ppm",
    "journal_source", "journal_reference", "journal_ref", "settled_millitokens", "provider_millitokens",
    "buyer_millitokens", "refused_millitokens", "disputed_millitokens", "schedule_version", "weight_ppm", "text",
)  # fmt: skip
_TOGETHER = 1_000  # rows in one piece
# What a spreadsheet would take for a formula. Figures begin with a minus too, but hold nothing else.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def comma_separated(core: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """The table, in pieces."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for count, row in enumerate(_rows(core, records), start=1):
        writer.writerow(row)
        if count % _TOGETHER == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _rows(core: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    run, balances = core["run"], core["balances"]
    about = {
        "statement": core["statement_id"],
        "party": core["party"],
        "currency": core["currency"],
        "sequence": str(core.get("sequence", "")),
        "run": run["key"],
        "core_sha256": stated_digest(core),
        "notice": core["notice"]["text"],
    }
    for name, text in about.items():
        yield {"row": "statement", "kind": name, "text": _text(text)}
    yield {"row": "balance", "kind": "opening", "amount": balances["opening"]["amount"]}
    for movement in balances["movements"]:
        yield {
            "row": "balance",
            "kind": f"movement:{movement['kind']}",
            "amount": movement["amount"],
            "text": f"{movement['entries']} entries",
        }
    yield {"row": "balance", "kind": "closing", "amount": balances["closing"]["amount"]}
    yield {"row": "balance", "kind": "held", "amount": balances["held"]}
    yield {"row": "balance", "kind": "available", "amount": balances["available"]}
    for record in records:
        row = _OF_RECORD[record["record"]](record["body"])
        yield {"row": record["record"], "number": record["number"], **row}


def _line(body: Mapping[str, Any]) -> dict[str, Any]:
    window, tax, journal = body["window"], body["tax"], body.get("journal", {})
    return {
        "contract": _text(body["contract"]),
        "window_start": window["start"],
        "window_end": window["end"],
        "kind": _text(body["kind"]),
        "counterparty": _text(body.get("counterparty", "")),
        "beneficiary": _text(body.get("beneficiary", "")),
        "tokens": body.get("tokens", ""),
        "price": body.get("price", ""),
        "value": body["value"],
        "amount": body["amount"],
        "cumulative": body.get("cumulative", ""),
        "exact_micros": body.get("exact", ""),
        "tax_category": _text(tax["category"]),
        "tax_rate_ppm": tax["rate_ppm"],
        "journal_source": _text(journal.get("source", "")),
        "journal_reference": _text(journal.get("reference", "")),
        "journal_ref": _text(journal.get("ref", "")),
    }


def _metering(body: Mapping[str, Any]) -> dict[str, Any]:
    figures = ("settled", "provider", "buyer", "refused", "disputed")
    said = {f"{name}_millitokens": body.get(f"{name}_millitokens", "") for name in figures}
    return said | {name: _text(body.get(name, "")) for name in ("contract", "buyer", "provider", "counterparty")}


def _split(body: Mapping[str, Any]) -> dict[str, Any]:
    texts = ("contract", "buyer", "provider", "counterparty", "kind", "beneficiary")
    return {
        "schedule_version": body["schedule_version"],
        "weight_ppm": body["weight_ppm"],
        "amount": body["amount"],
    } | {name: _text(body.get(name, "")) for name in texts}


_OF_RECORD = {"line": _line, "metering": _metering, "split": _split}


def _text(value: str) -> str:
    """A text that no spreadsheet runs as a formula."""
    return f"'{value}" if value.startswith(_FORMULA) else value
