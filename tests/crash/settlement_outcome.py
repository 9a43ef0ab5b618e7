"""What settlement runs leave behind that nobody's death may change, read another way than the product does."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db import connection

from ledger.keys.ring import public_jwks
from settlement.models import JobState, RunState, SettlementJob, SettlementRun, Statement, StatementPart
from settlement.statements.canonical import canonical_bytes
from settlement.statements.verify import verify
from tests.audits import audit, found_by

# Every leg of a settlement: names instead of numbers, for numbers tell who came first.
_LEGS = """
SELECT posted.source, posted.reference, posted.kind, party.code, asset.code, account.role, account.qualifier,
       entry.ref, entry.amount
  FROM ledger_entry AS entry JOIN ledger_transaction AS posted ON posted.id = entry.transaction_id
  JOIN ledger_account AS account ON account.id = entry.account_id
  JOIN ledger_party AS party ON party.id = account.party_id JOIN ledger_asset AS asset ON asset.id = account.asset_id
"""
_TRANSACTIONS = "SELECT source, reference, kind FROM ledger_transaction"
_ACCOUNTS = """
SELECT party.code, asset.code, account.role, account.qualifier, account.balance, account.held, account.seq
  FROM ledger_account AS account
  JOIN ledger_party AS party ON party.id = account.party_id JOIN ledger_asset AS asset ON asset.id = account.asset_id
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Cores and records of all statements by (run, party), and the whole ledger by names."""

    cores: dict[tuple[str, str], bytes]
    records: dict[tuple[str, str], bytes]
    legs: Counter[tuple[Any, ...]]
    transactions: Counter[tuple[Any, ...]]
    accounts: list[tuple[Any, ...]]


def read_outcome() -> Outcome:
    """Of the database that Django is connected to."""
    cores, records = {}, {}
    for statement in Statement.objects.select_related("party", "run__product").order_by("id"):
        key = statement.run.key, statement.party.code
        cores[key] = canonical_bytes(_payload(statement)["core"])
        records[key] = _records(statement)
    return Outcome(cores, records, Counter(_rows(_LEGS)), Counter(_rows(_TRANSACTIONS)), sorted(_rows(_ACCOUNTS)))


def check_same(disturbed: Outcome, undisturbed: Outcome) -> None:
    """Every core is byte for byte the same, and nothing was paid twice, left out or paid elsewhere."""
    assert disturbed.cores.keys() == undisturbed.cores.keys()
    for key, core in undisturbed.cores.items():
        assert json.loads(disturbed.cores[key]) == json.loads(core), key  # which shows where they differ
        assert disturbed.cores[key] == core, key
        assert disturbed.records[key] == undisturbed.records[key], key
    twice = [transaction for transaction, times in disturbed.transactions.items() if times > 1]
    assert not twice
    assert disturbed.transactions == undisturbed.transactions
    assert disturbed.legs == undisturbed.legs
    assert disturbed.accounts == undisturbed.accounts


def check_settled() -> None:
    """All runs are published, all that had to be done is done, every statement verifies, the audit finds nothing."""
    assert set(SettlementRun.objects.values_list("state", flat=True)) == {RunState.PUBLISHED}
    assert set(SettlementJob.objects.values_list("state", flat=True)) == {JobState.DONE}
    jwks = json.dumps(public_jwks()).encode()
    for party_id in Statement.objects.values_list("party_id", flat=True).distinct():
        chain = list(Statement.objects.filter(party_id=party_id, sequence__isnull=False).order_by("sequence"))
        assert [statement.sequence for statement in chain] == list(range(1, len(chain) + 1))
        for before, after in pairwise([None, *chain]):
            assert after is not None
            previous = None if before is None else before.jws.encode()
            report = verify(after.jws.encode(), jwks, previous, records=_records(after))
            assert report.ok, report.text()
    assert found_by(audit()) == {}


def _records(statement: Statement) -> bytes:
    parts = StatementPart.objects.filter(stated_id=statement.stated_id).order_by("number")
    return b"".join(bytes(part.content) for part in parts)


def _payload(statement: Statement) -> dict[str, Any]:
    payload = json.loads(statement.jws)["payload"]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def _rows(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())
