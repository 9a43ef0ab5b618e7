"""What runs and their recomputation refuse."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class InvalidCalendar(DomainError):
    """Periods divide a day into whole minutes, and the runs of one follow each other: see the field that it names."""

    code = "invalid_settlement_calendar"


class RunNotPublished(DomainError):
    """Only what a published run says can be netted, invoiced or disputed. Wait until it is published."""

    code = "run_not_published"
    category = Category.CONFLICT


class EarlierRunMissing(DomainError):
    """A run follows a published one of the same period: final initial, true-up final. Make that one first."""

    code = "earlier_run_missing"
    category = Category.CONFLICT


class HoldsReleased(DomainError):
    """After the last run of a period its bonds are free, and no later run follows. Dispute what is wrong in time."""

    code = "holds_released"
    category = Category.CONFLICT


class FrozenInputChanged(DomainError):
    """What a run was frozen from is no longer what it was: a row or event was changed. Restore it from a backup."""

    code = "frozen_input_changed"
    category = Category.CONFLICT


class RecomputeDiffers(DomainError):
    """Computed again from its frozen input, a run comes to something else. The message names the first difference."""

    code = "recompute_differs"
    category = Category.CONFLICT


class InvalidBundle(DomainError):
    """The files of a bundle are incomplete, or not those that its manifest names by digest. Export it again."""

    code = "invalid_bundle"
