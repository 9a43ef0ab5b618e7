"""A position's outcome as JSON-safe values and back, for keeping it beside its run. Integers travel as strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from settlement.calculation import Payout, PositionOutcome
from settlement.splits import Recipient, Share, ShareAmount

_PAYOUTS = ("pay", "overage")


def outcome_record(outcome: PositionOutcome) -> dict[str, Any]:
    """All figures of an outcome by field name."""
    record: dict[str, Any] = {
        field.name: str(getattr(outcome, field.name)) for field in fields(outcome) if field.name not in _PAYOUTS
    }
    return record | {"pay": _payout_record(outcome.pay), "overage": _payout_record(outcome.overage)}


def outcome_from_record(record: Mapping[str, Any]) -> PositionOutcome:
    """The inverse of `outcome_record`."""
    figures = {name: int(value) for name, value in record.items() if name not in _PAYOUTS}
    return PositionOutcome(**figures, pay=_payout(record["pay"]), overage=_payout(record["overage"]))


def _payout_record(payout: Payout) -> dict[str, Any]:
    return {
        "gross_micros": str(payout.gross_micros),
        "fee_micros": str(payout.fee_micros),
        "shares": [
            {
                "beneficiary": amount.share.beneficiary,
                "weight_ppm": amount.share.weight_ppm,
                "recipient": amount.share.recipient.value,
                "party_id": amount.share.party_id,
                "micros": str(amount.micros),
            }
            for amount in payout.shares
        ],
    }


def _payout(record: Mapping[str, Any]) -> Payout:
    shares = tuple(
        ShareAmount(
            Share(item["beneficiary"], item["weight_ppm"], Recipient(item["recipient"]), item["party_id"]),
            int(item["micros"]),
        )
        for item in record["shares"]
    )
    return Payout(int(record["gross_micros"]), int(record["fee_micros"]), shares)
