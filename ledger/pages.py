"""Pages on the ledger for auditors and operators, and an account's entries for those whose account it is.

Entries have a composite key, which the admin cannot show; these pages stand in for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from ledger.chart import AssetKind
from ledger.models import Account, ActionLog, Batch, Entry, Transaction
from ledger.web import access_of, belongs_to_a_party, newest_first, only_for, reads_everything, render_page


@dataclass(frozen=True, slots=True)
class Posting:
    """An entry with the names a reader needs beside it."""

    entry: Entry
    account: Account
    transaction: Transaction | None = None

    @property
    def in_money(self) -> bool:
        return self.account.asset.kind == AssetKind.CURRENCY


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
    return render_page(
        request,
        "ledger/journal.html",
        {"section": "audit", "tab": "journal", "page": page, "kind": kind, "reference": reference},
    )


@require_safe
@only_for(reads_everything)
def journal_transaction(request: HttpRequest, number: int) -> HttpResponse:
    """One transaction with its entries, which sum to zero in every asset, and the batch that sealed it."""
    transaction = Transaction.objects.filter(id=number).first()
    if transaction is None:
        raise Http404
    entries = list(Entry.objects.filter(transaction_id=number).order_by("leg"))
    accounts = _accounts(entries)
    return render_page(
        request,
        "ledger/transaction.html",
        {
            "section": "audit",
            "tab": "journal",
            "transaction": transaction,
            "postings": [Posting(entry, accounts[entry.account_id]) for entry in entries],
            "batch": Batch.objects.filter(no=transaction.batch_no).first(),
            "reversed_by": Transaction.objects.filter(reverses=number).first(),
        },
    )


@require_safe
@only_for(belongs_to_a_party)
def account(request: HttpRequest, number: int) -> HttpResponse:
    """An account's entries in statement order. Its party sees it, and those who read everything."""
    found = Account.objects.select_related("party", "asset").filter(id=number).first()
    access = access_of(request)
    if found is None or not (access.reads_everything or found.party_id in access.party_ids):
        raise Http404
    page = newest_first(request, Entry.objects.filter(account_id=number), "account_seq")
    transactions = Transaction.objects.in_bulk([entry.transaction_id for entry in page.rows])
    postings = [Posting(entry, found, transactions.get(entry.transaction_id)) for entry in page.rows]
    return render_page(
        request,
        "ledger/account.html",
        {
            "section": "audit" if access.reads_everything else "statements",
            "account": found,
            "in_money": found.asset.kind == AssetKind.CURRENCY,
            "free": None if found.floor is None else found.balance - found.held - found.floor,
            "page": page,
            "postings": postings,
        },
    )


@require_safe
@only_for(reads_everything)
def batches(request: HttpRequest) -> HttpResponse:
    """The chain of batches: Merkle root over each one's transactions, and the hash of the batch before."""
    page = newest_first(request, Batch.objects.all(), "no")
    return render_page(request, "ledger/batches.html", {"section": "audit", "tab": "batches", "page": page})


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


def _accounts(entries: list[Entry]) -> dict[int, Account]:
    return Account.objects.select_related("party", "asset").in_bulk([entry.account_id for entry in entries])
