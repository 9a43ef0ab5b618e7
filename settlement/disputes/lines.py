"""Finding what a number on a statement stands for: the line, and who has the money that is in question."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.models import Party, PartyKind
from ledger.selectors.parties import get_house_id
from settlement.disputes.errors import LineNotDisputable
from settlement.disputes.rules import UNDISPUTED_KINDS, DisputedLine
from settlement.models import PositionSettlement, RunKind, RunState, SettlementLine, Statement
from settlement.outcome_record import outcome_from_record

SHARE, FEE = "share", "_fee"


@dataclass(frozen=True, slots=True)
class _Shared:
    """A share of a position's income; `party_id` None while its owner is unknown."""

    buyer_id: int
    party_id: int | None
    micros: int


def find_line(statement: Statement, number: int) -> DisputedLine:
    """The line of a posted statement by its number, which counts from 1. Raises `LineNotDisputable`.

    A statement's records begin with its lines; what follows them, meters' figures and splits, is disputed by the line
    that was calculated from it.
    """
    lines = SettlementLine.objects.filter(run_id=statement.run_id, party_id=statement.party_id)
    row = None if number < 1 else lines.order_by("contract_place", "place")[number - 1 : number].first()
    if row is None:
        raise LineNotDisputable(
            f"Record {number} of the statement is no line of it; its lines have the numbers 1 to {lines.count()}.",
            field="line",
        )
    if row.kind in UNDISPUTED_KINDS or row.counterparty_id is None:
        raise LineNotDisputable(f"A line of kind {row.kind} cannot be disputed by itself.", field="line", kind=row.kind)
    if statement.party.kind == PartyKind.HOUSE:
        raise LineNotDisputable("The exchange does not dispute what it settled.", field="line")
    buyer_id, provider_id, payee_id = _sides(statement.party, row, row.counterparty_id)
    if payee_id == statement.party_id:
        raise LineNotDisputable("The party is the other side of this line itself.", field="line")
    most = max(abs(row.amount_micros), abs(row.value_micros))
    return DisputedLine(row.kind, row.contract_id, buyer_id, provider_id, payee_id, most)


def bought_micros(line: DisputedLine) -> int:
    """What the buyer paid for the position of a line: out of escrow, and from its cash for what went beyond."""
    position = (
        PositionSettlement.objects.filter(
            contract_id=line.contract_id,
            buyer_id=line.buyer_id,
            provider_id=line.provider_id,
            run__state=RunState.PUBLISHED,
        )
        .exclude(run__kind=RunKind.INDICATIVE)
        .order_by("-run_id")
        .first()
    )
    if position is None:
        return 0
    found = outcome_from_record(position.outcome)
    of_escrow = found.paid_micros + found.sla_micros + found.refund_micros + found.suspended_micros
    return of_escrow + found.held_charge_micros


def _sides(party: Party, row: SettlementLine, counterparty_id: int) -> tuple[int, int, int]:
    """Buyer, provider and payee."""
    counterparty = Party.objects.get(id=counterparty_id)
    if row.kind == SHARE and counterparty.kind == PartyKind.PROVIDER:
        shares = [each for each in _shares(row, provider_id=counterparty_id) if each.party_id == party.pk]
        return _closest(shares, row).buyer_id, counterparty_id, counterparty_id
    if party.kind == PartyKind.BUYER:
        return party.pk, counterparty_id, get_house_id() if row.kind.endswith(FEE) else counterparty_id
    if row.kind == SHARE:
        shares = [each for each in _shares(row, provider_id=party.pk) if each.buyer_id == counterparty_id]
        owner = _closest(shares, row).party_id
        return counterparty_id, party.pk, get_house_id() if owner is None else owner
    return counterparty_id, party.pk, get_house_id() if row.kind.endswith(FEE) else counterparty_id


def _shares(row: SettlementLine, *, provider_id: int) -> Iterator[_Shared]:
    """The shares by this name in the positions of a provider."""
    positions = PositionSettlement.objects.filter(
        run_id=row.run_id, contract_id=row.contract_id, provider_id=provider_id
    ).order_by("buyer_id")
    for position in positions:
        payouts: list[Any] = [position.outcome.get(name, {}) for name in ("pay", "overage", "made_up")]
        for share in (share for payout in payouts for share in payout.get("shares", ())):
            if share["beneficiary"] == row.beneficiary and share["recipient"] != "provider":
                yield _Shared(position.buyer_id, share["party_id"], int(share["micros"]))


def _closest(shares: list[_Shared], row: SettlementLine) -> _Shared:
    """The share that a line tells of; one party's lines of the same share differ by buyer, not by who has the money."""
    if not shares:
        raise LineNotDisputable("The line tells of no share that the run knows.", field="line")
    told = abs(row.cumulative_micros)
    return next((share for share in shares if share.micros == told), shares[0])
