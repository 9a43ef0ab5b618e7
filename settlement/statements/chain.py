"""What a statement follows on: the chain of a party's statements in a currency."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from settlement.models import SettlementRun

# Statements of the first form have no stated core.
_LAST = """
SELECT last.sequence, last.digest, closing.balance, closing.seq
  FROM ((SELECT sequence, digest, run_id FROM settlement_statedcore
          WHERE party_id = %(party)s AND currency_id = %(currency)s AND sequence IS NOT NULL AND run_id <> %(run)s
          ORDER BY sequence DESC LIMIT 1)
        UNION ALL
        (SELECT sequence, core_digest, run_id FROM settlement_statement
          WHERE party_id = %(party)s AND currency_id = %(currency)s AND sequence IS NOT NULL AND stated_id IS NULL
          ORDER BY sequence DESC LIMIT 1)) AS last
  JOIN settlement_closingbalance AS closing ON closing.run_id = last.run_id AND closing.party_id = %(party)s
 ORDER BY last.sequence DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Link:
    """A statement of the chain, and how the account stood by it: micros, and the sequence number of its last entry."""

    sequence: int
    core_digest: bytes
    balance_micros: int
    account_seq: int


def link_before(run: SettlementRun, party_id: int) -> Link | None:
    """The last link of a party's chain in the run's currency, leaving out the run's own; None before the first.

    What is stated counts, signed or not.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LAST, {"party": party_id, "currency": run.currency_id, "run": run.pk})
        last = cursor.fetchone()
    if last is None:
        return None
    sequence, digest, balance, seq = last
    return Link(sequence, bytes(digest), balance, seq)
