"""After the last run: operators end the discrepancy cases that the day left open, for bonds wait for them."""

from __future__ import annotations

from datetime import datetime

from config.demo.disputing import SECOND_OPERATOR
from config.demo.trading import OPERATOR
from settlement.commands.decide_ruling import confirm_ruling
from settlement.commands.propose_ruling import ProposeRuling, propose_ruling
from settlement.metering.records import Ruling
from settlement.models import DiscrepancyCase
from settlement.selectors.cases import UNSETTLED_STATES


def rule_open_cases(*, now: datetime) -> None:
    """The minimum, as it was settled: proposed by one operator, confirmed by another."""
    for case in DiscrepancyCase.objects.filter(state__in=UNSETTLED_STATES).order_by("id"):
        reason = "Neither side has shown more than what both say."
        propose_ruling(ProposeRuling(case.pk, Ruling.MINIMUM, reason), actor=OPERATOR, now=now)
        confirm_ruling(case.pk, actor=SECOND_OPERATOR, now=now)
