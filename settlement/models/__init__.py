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
    ClosingBalance,
    JobState,
    JobStep,
    PositionSettlement,
    RunKind,
    RunState,
    SettlementJob,
    SettlementRun,
    UnmatchedUsage,
)
from settlement.models.shares import ShareSchedule
from settlement.models.statements import Statement

__all__ = [
    "ClosingBalance",
    "EventStatus",
    "JobState",
    "JobStep",
    "Meter",
    "MeterSide",
    "PositionSettlement",
    "RunKind",
    "RunState",
    "SettlementJob",
    "SettlementRun",
    "ShareSchedule",
    "Statement",
    "UnmatchedUsage",
    "UsageConflict",
    "UsageDedup",
    "UsageEvent",
]
