"""Rows of the exchange: columns and constraints only."""

from exchange.models.capacity import CapacityAllocation, CapacityDeclaration, Offer, OfferState, Qualification, Site
from exchange.models.contracts import Contract, ContractState, Product, ProductTerms
from exchange.models.sequencer import ContractMarket, Intake, IntakeKind, IntakeResult, SequencerBatch, SequencerState
from exchange.models.trading import Fill, Order

__all__ = [
    "CapacityAllocation",
    "CapacityDeclaration",
    "Contract",
    "ContractMarket",
    "ContractState",
    "Fill",
    "Intake",
    "IntakeKind",
    "IntakeResult",
    "Offer",
    "OfferState",
    "Order",
    "Product",
    "ProductTerms",
    "Qualification",
    "SequencerBatch",
    "SequencerState",
    "Site",
]
