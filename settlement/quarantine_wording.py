"""Why events are kept aside, told to people: a sentence for each code of `QuarantineReason` and `IntakeQuarantine`."""

from __future__ import annotations

from collections.abc import Mapping

from settlement.metering.buckets import QuarantineReason
from settlement.metering.results import IntakeQuarantine

REASONS: Mapping[str, str] = {
    IntakeQuarantine.TOO_OLD: "Its time is more than 35 days back.",
    IntakeQuarantine.IN_FUTURE: "Its time had not come yet.",
    IntakeQuarantine.OUTSIDE_WINDOW: "The request was accepted outside the contract's delivery window.",
    IntakeQuarantine.AFTER_FINAL_RUN: "The contract's last settlement run had begun.",
    IntakeQuarantine.AGGREGATE_NOT_SIGNED: "Sums of a minute count in calls that their meter signed.",
    IntakeQuarantine.AGGREGATE_NOT_A_MINUTE: "It does not begin with a whole UTC minute.",
    IntakeQuarantine.SUPERSEDES_UNKNOWN: "The event that it corrects is not known, or replaced nothing itself.",
    IntakeQuarantine.SUPERSEDES_CORRECTED: "Another correction was first: correct that one.",
    IntakeQuarantine.SUPERSEDES_OTHER_REQUEST: "Contract, parties or request are not those of the event it corrects.",
    IntakeQuarantine.NO_WEIGHTS: "The product does not weigh every kind of token.",
    IntakeQuarantine.COUNT_OUT_OF_RANGE: "A count, or what the counts weigh, is too large.",
    QuarantineReason.UNKNOWN_FAMILY: "The usage family is not known.",
    QuarantineReason.NO_USAGE: "It has no usage object.",
    QuarantineReason.MALFORMED: "The usage is not of the shape that its family has.",
    QuarantineReason.WRONG_FAMILY: "The usage has counts of another family.",
    QuarantineReason.MISSING_COUNT: "A count that the family always states is missing.",
    QuarantineReason.INVALID_COUNT: "A count is not a whole number.",
    QuarantineReason.NEGATIVE_COUNT: "A count is negative.",
    QuarantineReason.CONTRADICTORY_COUNTS: "The same count is stated twice, differently.",
    QuarantineReason.PARTS_EXCEED_WHOLE: "There are more cached or reasoning tokens than tokens.",
    QuarantineReason.TOTAL_MISMATCH: "The total is less than its parts.",
    QuarantineReason.UNEXPLAINED_TOKENS: "The total is more than its parts.",
    QuarantineReason.OTHER_MODEL: "Part of the tokens are another model's.",
}
