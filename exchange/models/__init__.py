"""Rows of the exchange: columns and constraints only."""

from exchange.models.capacity import (
    CapacityAllocation,
    CapacityDeclaration,
    Offer,
    OfferOrder,
    OfferState,
    Qualification,
    Site,
)
from exchange.models.contract_life import DecisionKind, DecisionState, ListingRule, OperatorDecision, ProviderDefault
from exchange.models.contracts import (
    OPEN_STATES,
    SHARDS,
    UNDELIVERED_STATES,
    Contract,
    ContractState,
    Product,
    ProductTerms,
)
from exchange.models.fees import FeeSchedule, PartyVolume
from exchange.models.market_data import Candle, CandleCursor
from exchange.models.sequencer import (
    BookDelta,
    ContractMarket,
    DeadManSwitch,
    ExchangeHead,
    Intake,
    IntakeKind,
    IntakeResult,
    SequencerBatch,
    SequencerState,
    SetAside,
)
from exchange.models.trading import Fill, FillReversal, Order, PreventedMatch, TradeGroup

__all__ = [
    "OPEN_STATES",
    "SHARDS",
    "UNDELIVERED_STATES",
    "BookDelta",
    "Candle",
    "CandleCursor",
    "CapacityAllocation",
    "CapacityDeclaration",
    "Contract",
    "ContractMarket",
    "ContractState",
    "DeadManSwitch",
    "DecisionKind",
    "DecisionState",
    "ExchangeHead",
    "FeeSchedule",
    "Fill",
    "FillReversal",
    "Intake",
    "IntakeKind",
    "IntakeResult",
    "ListingRule",
    "Offer",
    "OfferOrder",
    "OfferState",
    "OperatorDecision",
    "Order",
    "PartyVolume",
    "PreventedMatch",
    "Product",
    "ProductTerms",
    "ProviderDefault",
    "Qualification",
    "SequencerBatch",
    "SequencerState",
    "SetAside",
    "Site",
    "TradeGroup",
]
