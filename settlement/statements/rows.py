"""What a run wrote down for a party, as a statement's records take it: lines, meters' figures, splits, one by one.

Read in the order of the statement, a block of rows at a time, so that a long statement needs no more memory than a
short one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from msgspec import json

from ledger.models import Party
from settlement.models import SettlementRun
from settlement.outcome_record import outcome_from_record
from settlement.runs.earlier import earlier_outcomes
from settlement.statements.party_line import PartyLine, PositionSplit, position_splits

ROWS_AT_ONCE = 2_000

_LINES = """
SELECT contract_place, kind, amount_micros, value_micros, cumulative_micros, exact_numerator::text,
       exact_denominator::text, tax_category, tax_rate_ppm, counterparty_id, tokens, price_micros, beneficiary,
       reference, ref, place
  FROM settlement_settlementline WHERE run_id = %s AND party_id = %s ORDER BY contract_place, place
"""
_METERING = """
SELECT settled.metering
  FROM settlement_positionsettlement AS settled
  JOIN settlement_runcontract AS covered
    ON covered.run_id = settled.run_id AND covered.contract_id = settled.contract_id
  JOIN ledger_party AS buyer ON buyer.id = settled.buyer_id
  JOIN ledger_party AS provider ON provider.id = settled.provider_id
 WHERE settled.run_id = %s AND (settled.buyer_id = %s OR settled.provider_id = %s) AND settled.metering <> ''
 ORDER BY covered.place, buyer.code COLLATE "C", provider.code COLLATE "C"
"""
_SHARED = """
SELECT settled.contract_id, settled.buyer_id, contract.symbol, buyer.code, settled.outcome::text,
       settled.evidence ->> 'schedule_version'
  FROM settlement_positionsettlement AS settled
  JOIN settlement_runcontract AS covered
    ON covered.run_id = settled.run_id AND covered.contract_id = settled.contract_id
  JOIN exchange_contract AS contract ON contract.id = settled.contract_id
  JOIN ledger_party AS buyer ON buyer.id = settled.buyer_id
 WHERE settled.run_id = %s AND settled.provider_id = %s AND jsonb_array_length(outcome -> 'pay' -> 'shares') > 1
 ORDER BY covered.place, buyer.code COLLATE "C"
"""


def party_lines(run: SettlementRun, party: Party) -> Iterator[PartyLine]:
    """A party's lines of a run, in order."""
    windows = _windows(run)
    codes = dict(Party.objects.values_list("pk", "code"))
    for (
        contract_place,
        kind,
        amount,
        value,
        cumulative,
        numerator,
        denominator,
        tax_category,
        tax_rate,
        other,
        tokens,
        price,
        beneficiary,
        reference,
        ref,
        place,
    ) in _rows(_LINES, [run.pk, party.pk]):
        yield PartyLine(  # by place: by name it would take four times as long
            party.code,
            *windows[contract_place],
            kind,
            amount,
            value,
            cumulative,
            (int(numerator), int(denominator)),
            tax_category,
            tax_rate,
            "" if other is None else codes[other],
            tokens,
            price,
            beneficiary,
            reference,
            ref,
            place,
        )


def party_metering(run: SettlementRun, party: Party) -> Iterator[str]:
    """What the meters said of a party's positions in a run: canonical JSON texts, by contract, buyer and provider.

    Rows of earlier releases have none.
    """
    return (metering for (metering,) in _rows(_METERING, [run.pk, party.pk, party.pk]))


def party_splits(run: SettlementRun, party: Party) -> Iterator[PositionSplit]:
    """How what a provider earned in a run was shared out, in the order of its positions; nothing for others."""
    earlier: dict[int, Mapping[tuple[int, int], Any]] = {}
    for contract_id, buyer_id, symbol, buyer, outcome, schedule_version in _rows(_SHARED, [run.pk, party.pk]):
        if contract_id not in earlier:
            earlier[contract_id] = earlier_outcomes(run, contract_id)
        before = earlier[contract_id].get((buyer_id, party.pk))
        yield from position_splits(
            (symbol, buyer, party.code),
            outcome_from_record(json.decode(outcome)),
            None if before is None else outcome_from_record(before),
            schedule_version=int(schedule_version),
        )


def transactions_of(run_id: int, party_id: int) -> list[tuple[str, str, int]]:
    """(source, reference, number) of the ledger transactions that a party's lines name, by number."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT posted.source, posted.reference, posted.id
              FROM (SELECT DISTINCT reference FROM settlement_settlementline
                     WHERE run_id = %s AND party_id = %s AND reference <> '') line
              JOIN ledger_transaction posted ON posted.source = 'settlement' AND posted.reference = line.reference
             ORDER BY posted.id
            """,
            [run_id, party_id],
        )
        return [(source, reference, number) for source, reference, number in cursor.fetchall()]


def _windows(run: SettlementRun) -> dict[int, tuple[str, datetime, datetime]]:
    """The contracts of a run by their places in it: symbol and delivery."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT covered.place, contract.symbol, contract.delivery_start, contract.delivery_end
              FROM settlement_runcontract AS covered JOIN exchange_contract AS contract
                ON contract.id = covered.contract_id
             WHERE covered.run_id = %s
            """,
            [run.pk],
        )
        return {place: (symbol, start, end) for place, symbol, start, end in cursor}


def _rows(query: str, parameters: list[int]) -> Iterator[Any]:
    """The rows of a query, a block at a time."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(query, parameters)
        while True:
            rows = cursor.fetchmany(ROWS_AT_ONCE)
            yield from rows
            if len(rows) < ROWS_AT_ONCE:
                return
