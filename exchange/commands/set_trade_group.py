"""Say which parties belong together, so that their orders never trade with each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from exchange.errors import InvalidTradeGroup
from exchange.models import TradeGroup
from ledger.actions import record_action
from ledger.errors import NotFound
from ledger.models import Party, PartyKind

TRADING_KINDS = (PartyKind.BUYER, PartyKind.PROVIDER)


@dataclass(frozen=True, slots=True)
class SetTradeGroup:
    """An operator puts a party into the group of another, or with None back on its own, for a reason.

    It counts for orders placed from then on; open orders keep the group that they were placed with.
    """

    party_code: str
    group_code: str | None
    reason: str


@transaction.atomic
def set_trade_group(command: SetTradeGroup, *, actor: str, now: datetime) -> None:
    """Change a party's group. Raises `NotFound` and `InvalidTradeGroup`."""
    if not command.reason.strip():
        raise InvalidTradeGroup("A change of a trade group needs a reason.", field="reason")
    codes = [code for code in (command.party_code, command.group_code) if code is not None]
    locked = Party.objects.select_for_update().filter(code__in=codes, kind__in=TRADING_KINDS).order_by("id")
    parties = {party.code: party for party in locked}
    for field, code in zip(("party", "group"), codes, strict=False):
        if code not in parties:
            raise NotFound(f"There is no buyer or provider {code!r}.", field=field)
    party = parties[command.party_code]
    group_id = party.pk if command.group_code is None else _group_of(parties[command.group_code], party)
    TradeGroup.objects.update_or_create(party=party, defaults={"group_id": group_id})
    record_action(
        actor=actor,
        action="set_trade_group",
        subject=f"party:{party.code}",
        reason=command.reason,
        now=now,
        details={"group": command.group_code or ""},
    )


def _group_of(other: Party, party: Party) -> int:
    """Who stands for the other's group, which `party` is to join: one party for all, in no other group itself."""
    stands_for_it = TradeGroup.objects.filter(party=other).values_list("group_id", flat=True).first() or other.pk
    if stands_for_it == party.pk:
        raise InvalidTradeGroup(f"{party.code} stands for that group itself.", field="group")
    if TradeGroup.objects.filter(group_id=party.pk).exclude(party=party).exists():
        raise InvalidTradeGroup(f"{party.code} stands for a group; put its members elsewhere first.", field="party")
    return int(stands_for_it)
