"""Pages on the ledger for auditors and operators, and an account's entries for those whose account it is.

Entries have a composite key, which the admin cannot show; these pages stand in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from ledger.api.filters import InstantField
from ledger.errors import NotFound
from ledger.log.checkpoints import latest_checkpoint
from ledger.models import ActionLog, Batch, Entry, HoldEntry, Transaction
from ledger.money import MAX_AMOUNT
from ledger.selectors.accounts import Balance, accounts_of, balances
from ledger.selectors.entries import Line, entry_lines, get_transaction, hold_lines, reversals_of
from ledger.selectors.history import Point, find_point
from ledger.selectors.log import covering_checkpoints
from ledger.web import (
    NewestFirst,
    access_of,
    belongs_to_a_party,
    newest_first,
    only_for,
    reads_everything,
    render_page,
)


@dataclass(frozen=True, slots=True)
class JournalRow:
    """A transaction as the journal lists it."""

    posted: Transaction
    reversed_by: int | None


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch, and the size of the first checkpoint that covers it."""

    batch: Batch
    checkpoint: int | None


class PastForm(forms.Form):
    """Which point of the past is asked for: after a transaction, or at an instant (UTC)."""

    transaction = forms.IntegerField(
        required=False, min_value=0, max_value=MAX_AMOUNT, label="After transaction", widget=forms.NumberInput
    )
    at = InstantField(
        required=False, label="Or at (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"})
    )

    def point(self) -> Point | None:
        """The point, or None for now; what cannot be read or is not posted yet is an error of the form."""
        if not self.is_valid():
            return None
        try:
            return find_point(transaction=self.cleaned_data["transaction"], posted_by=self.cleaned_data["at"])
        except NotFound as refusal:
            self.add_error("transaction", refusal.message)
            return None


@require_safe
@only_for(reads_everything)
def journal(request: HttpRequest) -> HttpResponse:
    """All transactions, newest first; `?kind=` and `?reference=` narrow them down."""
    transactions = Transaction.objects.all()
    kind, reference = request.GET.get("kind", ""), request.GET.get("reference", "")
    if kind:
        transactions = transactions.filter(kind=kind)
    if reference:
        transactions = transactions.filter(reference=reference)
    page = newest_first(request, transactions, "id")
    reversals = reversals_of(row.id for row in page.rows)
    rows = [JournalRow(row, reversals.get(row.id)) for row in page.rows]
    return render_page(
        request,
        "ledger/journal.html",
        {"section": "audit", "tab": "journal", "page": page, "rows": rows, "kind": kind, "reference": reference},
    )


@require_safe
@only_for(reads_everything)
def journal_transaction(request: HttpRequest, number: int) -> HttpResponse:
    """One transaction with its entries, which sum to zero in every asset, its holds, and what seals and signs it."""
    try:
        found = get_transaction(number, None)
    except NotFound:
        raise Http404 from None
    return render_page(
        request,
        "ledger/transaction.html",
        {
            "section": "audit",
            "tab": "journal",
            "transaction": found.posted,
            "reversed_by": found.reversed_by,
            "entries": found.legs,
            "holds": found.holds,
            "batch": Batch.objects.filter(no=found.posted.batch_no).first(),
            "checkpoint": covering_checkpoints([found.posted.batch_no]).get(found.posted.batch_no),
        },
    )


@require_safe
@only_for(belongs_to_a_party)
def account(request: HttpRequest, number: int) -> HttpResponse:
    """An account's entries in statement order, or with `?show=holds` the changes of its holds, as they stand or stood.

    Its party sees it, and those who read everything.
    """
    access = access_of(request)
    found = accounts_of(None if access.reads_everything else access.party_ids).filter(id=number).first()
    if found is None:
        raise Http404
    form = PastForm(request.GET)
    point = form.point()
    (figures,) = balances([found], point)
    shows_holds = request.GET.get("show") == "holds"
    page, lines = (_hold_page if shows_holds else _entry_page)(request, figures)
    return render_page(
        request,
        "ledger/account.html",
        {
            "section": "audit" if access.reads_everything else "statements",
            "account": found,
            "figures": figures,
            "form": form,
            "point": point,
            "shows_holds": shows_holds,
            "query_without_show": _without(request, "show", "before"),
            "page": page,
            "lines": lines,
        },
    )


@require_safe
@only_for(reads_everything)
def batches(request: HttpRequest) -> HttpResponse:
    """The chain of batches: Merkle root over each one's transactions, the hash of the batch before, the signed head."""
    page = newest_first(request, Batch.objects.all(), "no")
    checkpoints = covering_checkpoints([row.no for row in page.rows])
    rows = [BatchRow(row, checkpoints.get(row.no)) for row in page.rows]
    return render_page(
        request,
        "ledger/batches.html",
        {"section": "audit", "tab": "batches", "page": page, "rows": rows, "newest": latest_checkpoint()},
    )


@require_safe
@only_for(reads_everything)
def actions(request: HttpRequest) -> HttpResponse:
    """What people and processes did, newest first; `?actor=` narrows it down."""
    log = ActionLog.objects.all()
    actor = request.GET.get("actor", "")
    if actor:
        log = log.filter(actor=actor)
    page = newest_first(request, log, "id")
    return render_page(
        request, "ledger/actions.html", {"section": "audit", "tab": "actions", "page": page, "actor": actor}
    )


def _entry_page(request: HttpRequest, account: Balance) -> tuple[NewestFirst[Any], list[Line]]:
    entries = Entry.objects.filter(account_id=account.account_id, account_seq__lte=account.entries)
    page = newest_first(request, entries, "account_seq")
    return page, entry_lines(page.rows)


def _hold_page(request: HttpRequest, account: Balance) -> tuple[NewestFirst[Any], list[Line]]:
    holds = HoldEntry.objects.filter(account_id=account.account_id, hold_seq__lte=account.hold_entries)
    page = newest_first(request, holds, "hold_seq")
    return page, hold_lines(page.rows)


def _without(request: HttpRequest, *names: str) -> str:
    """The query string without some of its parameters."""
    kept = request.GET.copy()
    for name in names:
        kept.pop(name, None)
    return kept.urlencode()
