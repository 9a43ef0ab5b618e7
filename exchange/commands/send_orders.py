"""Place, amend and cancel many orders of a party at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from exchange.clearing.terms import ContractTerms
from exchange.commands.amend_order import AmendOrder, draft_amendment
from exchange.commands.cancel_order import CancelOrder, draft_cancel
from exchange.commands.place_order import Listing, PlaceOrder, check_market, draft_order, read_listing
from exchange.dry_run import Trial, dry_run
from exchange.errors import OrderNotFound, UnknownContract
from exchange.models import Contract
from exchange.rows import contract_terms
from exchange.selectors.own_orders import OwnOrder, find_own_orders
from exchange.sequencer.intake import Submission, Submitted, find_repeat, find_repeats, submit_bundle
from ledger.errors import DomainError

OrderCommand = PlaceOrder | AmendOrder | CancelOrder
Draft = Submission | Submitted | DomainError  # a new command, one that stands in the line already, or a refusal


def send_orders(
    wanted: Sequence[OrderCommand | DomainError], *, party_id: int, actor: str, now: datetime
) -> list[Submitted | DomainError]:
    """Put all that is valid into the line, one behind the other: each shard decides its part in one transaction.

    Each item has its own outcome: its number in the line, or the refusal that `place_order`, `amend_order` or
    `cancel_order` would raise. What is refused already (an item that could not be read) stays so. An order can be
    amended or cancelled only when an earlier call has placed it.
    """
    drafts = _draft_orders(wanted, party_id=party_id, actor=actor, now=now)
    sent = iter(submit_bundle([draft for draft in drafts if isinstance(draft, Submission)], now=now))
    return [next(sent) if isinstance(draft, Submission) else draft for draft in drafts]


def try_orders(
    wanted: Sequence[OrderCommand | DomainError], *, party_id: int, actor: str, now: datetime
) -> list[Trial | Submitted | DomainError]:
    """What `send_orders` would come to if it were decided now, item by item. Writes nothing."""
    drafts = _draft_orders(wanted, party_id=party_id, actor=actor, now=now)
    submissions = [draft for draft in drafts if isinstance(draft, Submission)]
    repeats = find_repeats(submissions)
    fresh = [place for place, each in enumerate(repeats) if each == place]
    trials = dict(zip(fresh, dry_run([submissions[each] for each in fresh], party_id=party_id, now=now), strict=True))
    found = iter(trials[each] if isinstance(each, int) else each for each in repeats)
    return [next(found) if isinstance(draft, Submission) else draft for draft in drafts]


def _draft_orders(
    wanted: Sequence[OrderCommand | DomainError], *, party_id: int, actor: str, now: datetime
) -> list[Draft]:
    """What each item comes to before it is put into the line."""
    desk = _Desk.read(party_id, wanted, now)
    drafts: list[Draft] = []
    for item in wanted:
        try:
            drafts.append(item if isinstance(item, DomainError) else desk.draft(item, actor, now))
        except DomainError as refusal:
            drafts.append(refusal)
    return drafts


@dataclass(frozen=True, slots=True)
class _Desk:
    """What the items refer to, read once for all of them."""

    listings: Mapping[str, Listing]
    orders: Mapping[int, OwnOrder]
    terms: Mapping[int, ContractTerms]

    @classmethod
    def read(cls, party_id: int, wanted: Sequence[OrderCommand | DomainError], now: datetime) -> _Desk:
        orders = find_own_orders(
            party_id, {each.order_id for each in wanted if isinstance(each, AmendOrder | CancelOrder)}
        )
        amended = {
            orders[each.order_id].contract_id
            for each in wanted
            if isinstance(each, AmendOrder) and each.order_id in orders
        }
        contracts = Contract.objects.select_related("product", "terms")
        symbols = {each.symbol for each in wanted if isinstance(each, PlaceOrder)}
        return cls(
            listings={row.symbol: read_listing(party_id, row, now) for row in contracts.filter(symbol__in=symbols)},
            orders=orders,
            terms={row.id: contract_terms(row) for row in contracts.filter(id__in=amended)},
        )

    def draft(self, item: OrderCommand, actor: str, now: datetime) -> Draft:
        if isinstance(item, PlaceOrder):
            return self._draft_order(item, actor, now)
        order = self.orders.get(item.order_id)
        if order is None:
            raise OrderNotFound(f"There is no order {item.order_id}.", order_id=str(item.order_id))
        if isinstance(item, AmendOrder):
            return draft_amendment(item, order, self.terms[order.contract_id], actor=actor)
        return draft_cancel(item, order, actor=actor)

    def _draft_order(self, item: PlaceOrder, actor: str, now: datetime) -> Draft:
        listing = self.listings.get(item.symbol)
        if listing is None:
            raise UnknownContract(f"There is no contract {item.symbol!r}.", contract=item.symbol)
        draft = draft_order(item, listing, actor=actor)
        try:
            check_market(item, draft, listing, now)
        except DomainError:
            repeat = find_repeat(draft)
            if repeat is None:
                raise
            return repeat  # answered as it was, whatever has become of the contract since
        return draft
