"""Reasons for people."""

from __future__ import annotations

from settlement.metering.buckets import QuarantineReason
from settlement.metering.results import IntakeQuarantine
from settlement.quarantine_wording import REASONS


def test_every_reason_has_its_sentence() -> None:
    assert set(REASONS) == {reason.value for reason in (*QuarantineReason, *IntakeQuarantine)}
