"""What the audit looks at: checks, and explanations of what accounts hold back. Apps register theirs at start-up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psycopg import sql

from ledger.audit.findings import Looked
from ledger.audit.layout import WHOLE, Layout, Span
from ledger.audit.snapshot import View


def undivided(_view: View, _layout: Layout) -> Sequence[Span]:
    """The cut of a check that does all its work at once."""
    return WHOLE


def by_transactions(_view: View, layout: Layout) -> Sequence[Span]:
    """The cut of a check that looks at transactions, range by range."""
    return layout.transactions


def by_accounts(_view: View, layout: Layout) -> Sequence[Span]:
    """The cut of a check that looks at accounts, range by range."""
    return layout.accounts


def by_batches(_view: View, layout: Layout) -> Sequence[Span]:
    """The cut of a check that looks at batches, range by range."""
    return layout.batches


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must hold, whatever happened. It looks and never changes anything.

    `name` is stable, `title` says what holds, `advice` what to do if it does not. `look` is called for every span that
    `cut` gives, in any order and on any connection, so it may rely on nothing but its arguments. What the layout does
    not know a `cut` of its own finds in the view, before the work begins.
    """

    name: str
    title: str
    advice: str
    look: Callable[[View, Span], Looked]
    cut: Callable[[View, Layout], Sequence[Span]] = undivided


@dataclass(frozen=True, slots=True)
class HoldExplanation:
    """What some part of the product says it holds back: `query` gives rows (party_id, asset_id, role, amount).

    Amounts of one account add up, and may be negative. `title` names the reason in a sentence: "open orders".
    """

    name: str
    title: str
    query: sql.SQL | sql.Composed


_checks: dict[str, Check] = {}
_explanations: dict[str, HoldExplanation] = {}


def register_check(check: Check) -> None:
    """Let every audit run this check too. Raises `ValueError` for a name that is taken."""
    if _checks.setdefault(check.name, check) is not check:
        raise ValueError(f"There is a check {check.name!r} already.")


def register_hold_explanation(explanation: HoldExplanation) -> None:
    """Let this explain holds. Raises `ValueError` for a name that is taken."""
    if _explanations.setdefault(explanation.name, explanation) is not explanation:
        raise ValueError(f"There is an explanation {explanation.name!r} already.")


def all_checks() -> tuple[Check, ...]:
    """In the order in which they were registered."""
    return tuple(_checks.values())


def hold_explanations() -> tuple[HoldExplanation, ...]:
    """In the order in which they were registered."""
    return tuple(_explanations.values())
