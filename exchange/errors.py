"""The refusals of the exchange. Codes are public and never change their meaning."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class UnknownProduct(DomainError):
    """There is no such product."""

    code = "unknown_product"
    category = Category.NOT_FOUND


class UnknownContract(DomainError):
    """There is no such contract."""

    code = "unknown_contract"
    category = Category.NOT_FOUND


class ProductExists(DomainError):
    """A product of this code is already listed."""

    code = "product_exists"
    category = Category.CONFLICT


class ContractExists(DomainError):
    """The product already has a contract for this window."""

    code = "contract_exists"
    category = Category.CONFLICT


class WrongContractState(DomainError):
    """The contract's life does not allow this step from the state it is in."""

    code = "wrong_contract_state"
    category = Category.CONFLICT


class GateNotReached(DomainError):
    """The instant of the gate has not come yet."""

    code = "gate_not_reached"
    category = Category.REFUSED


class InvalidTerms(DomainError):
    """The terms of a product or contract contradict themselves or a limit; `field` names the one."""

    code = "invalid_terms"


class InvalidWindow(DomainError):
    """A delivery window is not aligned, not UTC, or of a length that is not traded."""

    code = "invalid_window"


class InvalidSymbol(DomainError):
    """The text is not a contract's symbol."""

    code = "invalid_symbol"


class InvalidOrder(DomainError):
    """A part of the order is missing, unknown or out of range; `field` names it."""

    code = "invalid_order"


class InvalidQuantity(DomainError):
    """The quantity is not a whole number of lots from 1 to the largest order."""

    code = "invalid_quantity"


class BudgetTooSmall(DomainError):
    """The budget does not buy one lot at the lowest price that the contract allows, its fee included."""

    code = "budget_too_small"
    category = Category.REFUSED


class ExpiryOutOfRange(DomainError):
    """The order would expire before it is placed, or after the gate has closed."""

    code = "expiry_out_of_range"
    category = Category.REFUSED


class PriceOffTick(DomainError):
    """The price is not a whole number of ticks."""

    code = "price_off_tick"


class PriceOutOfBand(DomainError):
    """The price is outside the contract's price band."""

    code = "price_out_of_band"
    category = Category.REFUSED


class ContractNotOpen(DomainError):
    """The contract does not trade yet; fields give its state and gate times."""

    code = "contract_not_open"
    category = Category.REFUSED


class ContractHalted(DomainError):
    """Trading in the contract is suspended."""

    code = "contract_halted"
    category = Category.REFUSED


class ContractClosed(DomainError):
    """The gate has closed; fields give the contract's state and gate times."""

    code = "contract_closed"
    category = Category.REFUSED


class NotQualified(DomainError):
    """The provider is not qualified for the product at this time."""

    code = "not_qualified"
    category = Category.REFUSED


class CapacityExceeded(DomainError):
    """The sale is more than the provider's allocated capacity in the contract."""

    code = "capacity_exceeded"
    category = Category.REFUSED


class TooManyOpenOrders(DomainError):
    """The party has as many open orders as it may have in the contracts of one shard."""

    code = "too_many_open_orders"
    category = Category.REFUSED


class OrderNotFound(DomainError):
    """There is no such order, or it is another party's."""

    code = "order_not_found"
    category = Category.NOT_FOUND


class OrderNotOpen(DomainError):
    """The order is already filled, cancelled or expired."""

    code = "order_not_open"
    category = Category.CONFLICT


class PostOnlyWouldTrade(DomainError):
    """The order is post-only and would have traded at once; or could be moved only to a price outside the band."""

    code = "post_only_would_trade"
    category = Category.REFUSED


class ClientOrderIdConflict(DomainError):
    """The `client_order_id` was used before with other content; `field` names the first difference."""

    code = "client_order_id_conflict"
    category = Category.CONFLICT


class OutcomePending(DomainError):
    """The command is recorded but not yet decided; ask again at the given address."""

    code = "outcome_pending"
    category = Category.BUSY


class InvalidQualification(DomainError):
    """A part of a qualification is missing or contradicts another; `field` names it."""

    code = "invalid_qualification"


class SiteNotFound(DomainError):
    """There is no such site, or it is another provider's."""

    code = "site_not_found"
    category = Category.NOT_FOUND


class SiteExists(DomainError):
    """The provider already has a site of this name."""

    code = "site_exists"
    category = Category.CONFLICT


class InvalidSite(DomainError):
    """A site needs a name and a region, neither of them too long; `field` names the one."""

    code = "invalid_site"


class InvalidCapacity(DomainError):
    """A capacity declaration is malformed; `field` names the part."""

    code = "invalid_capacity"


class AllocationExceeded(DomainError):
    """The allocations of overlapping windows come to more than the whole site."""

    code = "allocation_exceeded"
    category = Category.REFUSED


class InvalidOffer(DomainError):
    """The range of windows of an offer is empty, too long or out of step; `field` names the part."""

    code = "invalid_offer"


class OfferNotFound(DomainError):
    """There is no such offer, or it is another provider's."""

    code = "offer_not_found"
    category = Category.NOT_FOUND


class OfferNotOpen(DomainError):
    """The offer is paused or withdrawn, or its windows have closed; `state` tells which."""

    code = "offer_not_open"
    category = Category.CONFLICT


class OfferNotPaused(DomainError):
    """Only a paused offer is resumed; `state` tells what it is."""

    code = "offer_not_paused"
    category = Category.CONFLICT


class BookSnapshotNeeded(DomainError):
    """The change of the book that follows the given one is not kept; `sequence` is that of the book as it is."""

    code = "book_snapshot_needed"
    category = Category.CONFLICT


class FillNotFound(DomainError):
    """There is no such fill."""

    code = "fill_not_found"
    category = Category.NOT_FOUND


class FillReversed(DomainError):
    """The fill was taken back already."""

    code = "fill_reversed"
    category = Category.CONFLICT


class ProviderInDefault(DomainError):
    """The provider's default was declared already."""

    code = "provider_in_default"
    category = Category.CONFLICT


class DecisionPending(DomainError):
    """The same act was asked for already and waits for a second operator."""

    code = "decision_pending"
    category = Category.CONFLICT


class InvalidFeeSchedule(DomainError):
    """A fee schedule contradicts itself or a limit; `field` names where."""

    code = "invalid_fee_schedule"


class InvalidTradeGroup(DomainError):
    """A party cannot be in this trade group; `field` names why."""

    code = "invalid_trade_group"
