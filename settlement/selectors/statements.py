"""Reading statements."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import QuerySet

from ledger.errors import NotFound
from settlement.models import Statement, StatementOpinion


def list_statements(party_ids: Collection[int] | None = None) -> QuerySet[Statement]:
    """Statements, the latest first: those of some parties, or of all (None)."""
    statements = Statement.objects.select_related("run__product", "party", "currency").order_by("-id")
    return statements if party_ids is None else statements.filter(party_id__in=list(party_ids))


def get_statement(statement_id: int, party_ids: Collection[int] | None = None) -> Statement:
    """A statement that one of these parties may see; None: whoever's it is. Raises `NotFound`."""
    statement = list_statements(party_ids).filter(id=statement_id).first()
    if statement is None:
        raise NotFound(f"There is no statement {statement_id}.", statement=str(statement_id))
    return statement


def previous_of(statement: Statement) -> Statement | None:
    """The statement before in the chain of the same party and currency; None for the first, and outside the chain."""
    if statement.sequence is None:
        return None
    return Statement.objects.filter(
        party_id=statement.party_id, currency_id=statement.currency_id, sequence=statement.sequence - 1
    ).first()


def list_opinions(statement: Statement) -> QuerySet[StatementOpinion]:
    """What auditors signed about a statement, in the order in which they did."""
    return statement.opinions.select_related("key").order_by("pk")
