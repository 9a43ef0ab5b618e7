"""Grouping what runs posted into one figure a party, currency and value date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from django.db import connection, transaction
from django.db.models import QuerySet

from ledger.actions import record_action
from ledger.money import format_micros
from ledger.selectors.parties import get_currency, get_house_id
from settlement.disputes.postings import RELEASE
from settlement.models import NettedParty, NettedRun, NettingSet, RunKind, RunState, SettlementRun
from settlement.netting import Netting, net
from settlement.payments.errors import NothingToNet
from settlement.payments.lock import lock_payments

# Sums by sign come to the same as the lines one by one, and do not grow with their number. What a dispute gives back
# out of suspense is left out: it went in by no line either.
_SUMS = """
    SELECT party_id, coalesce(sum(amount_micros) FILTER (WHERE amount_micros > 0), 0)::bigint,
           coalesce(sum(amount_micros) FILTER (WHERE amount_micros < 0), 0)::bigint
      FROM settlement_settlementline WHERE run_id = ANY(%s) AND kind <> %s GROUP BY party_id ORDER BY party_id
"""


@transaction.atomic
def make_netting_set(currency: str, value_date: date, *, actor: str, now: datetime) -> NettingSet:
    """Net all published runs of a currency and value date that no set has yet. Moves nothing.

    Runs that are published later come into a set of their own with the next sequence. Raises `NotFound` for the
    currency, and `NothingToNet`.
    """
    asset = get_currency(currency)
    lock_payments()
    runs = list(unnetted_runs().filter(currency=asset, value_date=value_date).values_list("id", flat=True))
    if not runs:
        raise NothingToNet(
            f"No published run in {currency} with value date {value_date} is still to be netted.",
            currency=currency,
            value_date=str(value_date),
        )
    figures = net_runs(runs)
    made = NettingSet.objects.create(
        currency=asset,
        value_date=value_date,
        sequence=NettingSet.objects.filter(currency=asset, value_date=value_date).count() + 1,
        gross_micros=figures.gross_micros,
        net_micros=figures.net_micros,
        created_at=now,
        created_by=actor,
    )
    NettedRun.objects.bulk_create(NettedRun(run_id=run_id, netting=made) for run_id in runs)
    NettedParty.objects.bulk_create(
        NettedParty(
            netting=made,
            party_id=party.party_id,
            credits_micros=party.credits_micros,
            debits_micros=party.debits_micros,
            net_micros=party.net_micros,
        )
        for party in figures.parties
    )
    record_action(
        actor=actor,
        action="make_netting_set",
        subject=f"netting:{made.pk}",
        now=now,
        details={
            "currency": currency,
            "value_date": str(value_date),
            "runs": runs,
            "gross": format_micros(figures.gross_micros),
            "net": format_micros(figures.net_micros),
        },
    )
    return made


def unnetted_runs() -> QuerySet[SettlementRun]:
    """Runs whose lines are posted and published and that no netting set groups yet, in the order they were made."""
    return (
        SettlementRun.objects.filter(state=RunState.PUBLISHED, value_date__isnull=False)
        .exclude(kind=RunKind.INDICATIVE)
        .exclude(id__in=NettedRun.objects.values("run_id"))
        .order_by("id")
    )


def net_runs(run_ids: list[int]) -> Netting:
    """The netting of these runs' lines. What the parties receive beyond what they pay, the house's escrow gave."""
    return net(_lines(run_ids))


def _lines(run_ids: list[int]) -> Iterator[tuple[int, int]]:
    escrow = 0
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, [run_ids, RELEASE])
        for party_id, received, paid in cursor:
            yield party_id, received
            yield party_id, paid
            escrow -= received + paid
    yield get_house_id(), escrow
