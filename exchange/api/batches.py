"""Many orders in one call: from its items to commands, and back to an outcome for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from rest_framework.exceptions import ValidationError

from exchange.api import placing
from exchange.api.batch_serializers import ITEMS
from exchange.api.order_serializers import (
    AmendedOrderSerializer,
    CancelledOrderSerializer,
    ExpectedOrderSerializer,
    PendingSerializer,
    PlacedOrderSerializer,
)
from exchange.clearing.terms import ContractTerms
from exchange.commands.amend_order import AmendOrder
from exchange.commands.cancel_order import CancelOrder
from exchange.commands.place_order import PlaceOrder
from exchange.commands.send_orders import OrderCommand, send_orders, try_orders
from exchange.dry_run import Trial
from exchange.errors import OrderNotFound, OutcomePending, UnknownContract
from exchange.models import Contract
from exchange.rows import contract_terms
from exchange.selectors.own_orders import OwnOrder, find_order_ids, find_own_orders
from exchange.sequencer.answers import Answer, RefusedCommand, refused
from exchange.sequencer.intake import Submitted
from ledger.api.authentication import Caller
from ledger.api.errors import InvalidRequest
from ledger.api.fields import StrictSerializer
from ledger.errors import DomainError


@dataclass(frozen=True, slots=True)
class Wanted:
    """An item that could be read, with the terms of its contract."""

    command: OrderCommand
    terms: ContractTerms


Item = Wanted | DomainError


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What a call for the item alone would have answered: a status and content, or a refusal."""

    status: int = 0
    result: Any = None
    refusal: DomainError | None = None


def read_items(party_id: int, sent: Sequence[Any]) -> list[Item]:
    """Each item of a call as a command of the party, or as the refusal of that item."""
    readers = {action: kind() for action, kind in ITEMS.items()}
    bodies = [_validated(readers, each) for each in sent]
    references = _References.read(party_id, [body for body in bodies if not isinstance(body, DomainError)])
    return [body if isinstance(body, DomainError) else references.item(body) for body in bodies]


def send_items(caller: Caller, items: Sequence[Item], *, now: datetime) -> list[dict[str, Any]]:
    """Put the items into the line. What is returned can be kept, and `tell_items` understands it."""
    sent = send_orders(_commands(items), party_id=caller.party_id, actor=caller.actor, now=now)
    return [
        {"refused": refused(placing.in_outside_words(each))}
        if isinstance(each, DomainError)
        else {"seq": each.seq, "repeated": each.repeated}
        for each in sent
    ]


def tell_items(items: Sequence[Item], sent: Sequence[Mapping[str, Any]]) -> list[ItemOutcome]:
    """Wait for what becomes of the items."""
    results = placing.outcomes([each["seq"] for each in sent if "seq" in each])
    told = []
    for item, each in zip(items, sent, strict=True):
        if "refused" in each:
            told.append(ItemOutcome(refusal=RefusedCommand(each["refused"])))
        else:
            told.append(_told(item, Submitted(each["seq"], each["repeated"]), results.get(each["seq"])))
    return told


def try_items(caller: Caller, items: Sequence[Item], *, now: datetime) -> list[ItemOutcome]:
    """What the items would come to, one after the other; an order that is placed already has its result."""
    tried = try_orders(_commands(items), party_id=caller.party_id, actor=caller.actor, now=now)
    results = placing.outcomes([each.seq for each in tried if isinstance(each, Submitted)])
    told = []
    for item, each in zip(items, tried, strict=True):
        match each:
            case Trial():
                told.append(_expected(item, each))
            case Submitted():
                told.append(_told(item, each, results.get(each.seq)))
            case refusal:
                told.append(ItemOutcome(refusal=placing.in_outside_words(refusal)))
    return told


def _commands(items: Sequence[Item]) -> list[OrderCommand | DomainError]:
    return [item if isinstance(item, DomainError) else item.command for item in items]


def _told(item: Item, sent: Submitted, answer: Answer | None) -> ItemOutcome:
    """The outcome of an item that is in the line."""
    if isinstance(item, DomainError):
        return ItemOutcome(refusal=item)
    order_id = str(sent.seq if isinstance(item.command, PlaceOrder) else item.command.order_id)
    try:
        result = placing.settled(answer, order_id=order_id)
    except OutcomePending as pending:
        return ItemOutcome(202, PendingSerializer(placing.pending_figures(pending)).data)
    except DomainError as refusal:
        return ItemOutcome(refusal=refusal)
    match item.command:
        case PlaceOrder():
            figures = placing.placed_figures(item.command, item.terms, result)
            return ItemOutcome(200 if sent.repeated else 201, PlacedOrderSerializer(figures).data)
        case AmendOrder():
            return ItemOutcome(200, AmendedOrderSerializer(placing.amended_figures(item.terms, result)).data)
        case CancelOrder():
            return ItemOutcome(200, CancelledOrderSerializer(placing.cancelled_figures(result)).data)


def _expected(item: Item, trial: Trial) -> ItemOutcome:
    """The outcome that an item would have."""
    if isinstance(item, Wanted) and isinstance(item.command, PlaceOrder):
        try:
            figures = placing.expected_figures(item.command, item.terms, trial)
        except DomainError as refusal:
            return ItemOutcome(refusal=refusal)
        return ItemOutcome(200, ExpectedOrderSerializer(figures).data)
    return _told(item, Submitted(0), trial.answer)


def _validated(readers: Mapping[str, StrictSerializer], sent: Any) -> Mapping[str, Any] | DomainError:
    """An item's members, read by the serializer of its action."""
    action = sent.get("action") if isinstance(sent, Mapping) else None
    if not isinstance(action, str) or action not in readers:
        return _invalid({"action": ["An item is an object whose action is place, amend or cancel."]})
    try:
        members: Mapping[str, Any] = readers[action].run_validation(sent)
    except ValidationError as error:
        return _invalid(error.detail)
    except DomainError as refusal:
        return refusal
    return members


def _invalid(detail: Any) -> InvalidRequest:
    errors = [{"field": field, "detail": str(text)} for field, texts in detail.items() for text in texts]
    return InvalidRequest(f"The item is not valid: {', '.join(detail)}.", errors=errors)


@dataclass(frozen=True, slots=True)
class _References:
    """The orders and contracts that a call's items name, read once for all of them."""

    party_id: int
    order_ids: Mapping[str, int]
    orders: Mapping[int, OwnOrder]
    by_symbol: Mapping[str, ContractTerms]
    by_id: Mapping[int, ContractTerms]

    @classmethod
    def read(cls, party_id: int, bodies: Sequence[Mapping[str, Any]]) -> _References:
        changes = [body for body in bodies if body["action"] != "place"]
        names = {body["client_order_id"] for body in changes if "client_order_id" in body}
        order_ids = find_order_ids(party_id, names)
        orders = find_own_orders(party_id, {*order_ids.values(), *(b["order_id"] for b in changes if "order_id" in b)})
        symbols = {body["contract"] for body in bodies if body["action"] == "place"}
        named = Q(symbol__in=symbols) | Q(id__in={order.contract_id for order in orders.values()})
        contracts = list(Contract.objects.select_related("product", "terms").filter(named))
        by_id = {contract.id: contract_terms(contract) for contract in contracts}
        return cls(party_id, order_ids, orders, {each.symbol: by_id[each.id] for each in contracts}, by_id)

    def item(self, body: Mapping[str, Any]) -> Item:
        try:
            return self._placing(body) if body["action"] == "place" else self._changing(body)
        except DomainError as refusal:
            return refusal

    def _placing(self, body: Mapping[str, Any]) -> Wanted:
        terms = self.by_symbol.get(body["contract"])
        if terms is None:
            raise UnknownContract(f"There is no contract {body['contract']!r}.", contract=body["contract"])
        return Wanted(placing.order_command(self.party_id, body, terms), terms)

    def _changing(self, body: Mapping[str, Any]) -> Wanted:
        name = body.get("client_order_id")
        order = self.orders.get(body["order_id"] if name is None else self.order_ids.get(name, 0))
        if order is None:
            which = {"order_id": str(body["order_id"])} if name is None else {"client_order_id": name}
            raise OrderNotFound(f"There is no order {next(iter(which.values()))!r} from an earlier call.", **which)
        terms = self.by_id[order.contract_id]
        if body["action"] == "cancel":
            return Wanted(CancelOrder(self.party_id, order.id), terms)
        return Wanted(placing.amend_command(self.party_id, order.id, body, terms), terms)
