"""A position's outcome as JSON-safe values and back, for keeping it beside its run. Integers travel as strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from settlement.outcome import FIGURES, NO_PAYOUT, PAYOUTS, Payout, PositionOutcome
from settlement.splits import Recipient, Share, ShareAmount


def outcome_record(outcome: PositionOutcome) -> dict[str, Any]:
    """All figures of an outcome by field name."""
    return {
        **{name: str(getattr(outcome, name)) for name in FIGURES},
        **{name: _payout_record(getattr(outcome, name)) for name in PAYOUTS},
        "made_up_from": [[source, str(tokens)] for source, tokens in outcome.made_up_from],
        "missed": list(outcome.missed),
    }


def outcome_from_record(record: Mapping[str, Any]) -> PositionOutcome:
    """The inverse of `outcome_record`; what records of earlier releases do not name was 0."""
    figures: dict[str, Any] = {name: int(record.get(name, 0)) for name in FIGURES}
    figures |= {name: _payout(record[name]) if name in record else NO_PAYOUT for name in PAYOUTS}
    return PositionOutcome(
        **figures,
        made_up_from=tuple((source, int(tokens)) for source, tokens in record.get("made_up_from", [])),
        missed=tuple(record.get("missed", [])),
    )


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
