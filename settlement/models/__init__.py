"""Rows of metering, settlement and statements: columns and constraints only."""

from settlement.models.metering import (
    EventStatus,
    Meter,
    MeterSide,
    UsageConflict,
    UsageDedup,
    UsageEvent,
)
from settlement.models.runs import (
    JobState,
    PositionSettlement,
    RunKind,
    RunState,
    SettlementJob,
    SettlementRun,
)
from settlement.models.shares import ShareSchedule
from settlement.models.statements import Statement

__all__ = [
    "EventStatus",
    "JobState",
    "Meter",
    "MeterSide",
    "PositionSettlement",
    "RunKind",
    "RunState",
    "SettlementJob",
    "SettlementRun",
    "ShareSchedule",
    "Statement",
    "UsageConflict",
    "UsageDedup",
    "UsageEvent",
]
