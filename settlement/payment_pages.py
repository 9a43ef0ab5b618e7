"""Nettings, payments and invoice rows as people read them; files for the bank are for those who see everything."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from ledger.web import access_of, belongs_to_a_party, newest_first, only_for, reads_everything, render_page
from settlement.minor_units import format_minor
from settlement.models import ConfirmationImport, NettingSet, PaymentFile
from settlement.netting import ratio_ppm
from settlement.payments.accounts import current_accounts
from settlement.payments.confirmations import results_of
from settlement.payments.invoicing import write_invoice_csv
from settlement.selectors.netting import list_netted_parties, list_netting_sets
from settlement.selectors.payments import (
    list_instructions,
    list_invoice_rows,
    list_payment_files,
    list_payout_accounts,
)

TYPES = {"pain.001": ("application/xml", "xml"), "csv": ("text/csv; charset=utf-8", "csv")}


@require_safe
@only_for(belongs_to_a_party)
def payments(request: HttpRequest) -> HttpResponse:
    """The payments to the caller's parties, what they were netted from, and where they are paid."""
    own = _readable(request)
    page = newest_first(request, list_instructions(own), "id")
    context = {
        "section": _section(request),
        "tab": "payments",
        "page": page,
        "nets": list_netted_parties(own)[:20],
        "accounts": list_payout_accounts(own)[:20],
    }
    return render_page(request, "settlement/payments.html", context)


@require_safe
@only_for(reads_everything)
def nettings(request: HttpRequest) -> HttpResponse:
    """Netting sets, with how much of the gross need not be paid."""
    page = newest_first(request, list_netting_sets(), "id")
    rows = [(each, ratio_ppm(each.gross_micros, each.net_micros)) for each in page.rows]
    context = {"section": "audit", "tab": "nettings", "page": page, "rows": rows, "files": list_payment_files()[:20]}
    context["imports"] = ConfirmationImport.objects.defer("content").order_by("-id")[:20]
    return render_page(request, "settlement/payment_nettings.html", context)


@require_safe
@only_for(reads_everything)
def netting(request: HttpRequest, number: int) -> HttpResponse:
    """One netting set: its runs, its parties, and the payment of each."""
    found = list_netting_sets().filter(pk=number).first()
    if found is None:
        raise Http404
    paid = {each.party_id: each for each in list_instructions().filter(netting=found).order_by("id")}
    parties = list(list_netted_parties().filter(netting=found).order_by("party__code"))
    accounts = current_accounts([each.party_id for each in parties], found.currency_id)
    context = {
        "section": "audit",
        "tab": "nettings",
        "netting": found,
        "ratio": ratio_ppm(found.gross_micros, found.net_micros),
        "runs": _runs(found),
        "rows": [(each, paid.get(each.party_id), accounts.get(each.party_id)) for each in parties],
        "files": list_payment_files().filter(netting=found),
    }
    return render_page(request, "settlement/payment_netting.html", context)


@require_safe
@only_for(reads_everything)
def payment_file(request: HttpRequest, number: int) -> HttpResponse:
    """A file for the bank, byte for byte as it was made."""
    found = PaymentFile.objects.filter(pk=number).first()
    if found is None:
        raise Http404
    media_type, suffix = TYPES[found.form]
    headers = {"Content-Disposition": f'attachment; filename="{found.message_id}.{suffix}"'}
    return HttpResponse(bytes(found.content), content_type=media_type, headers=headers)


@require_safe
@only_for(reads_everything)
def confirmation(request: HttpRequest, number: int) -> HttpResponse:
    """What became of each item of a bank's file."""
    found = ConfirmationImport.objects.defer("content").filter(pk=number).first()
    if found is None:
        raise Http404
    context = {"section": "audit", "tab": "nettings", "imported": found, "results": results_of(found)}
    return render_page(request, "settlement/payment_import.html", context)


@require_safe
@only_for(belongs_to_a_party)
def invoices(request: HttpRequest) -> HttpResponse:
    """Rows for the invoices that the caller's parties write or receive."""
    page = newest_first(request, list_invoice_rows(_readable(request)), "id")
    rows = [
        (
            row,
            *(format_minor(minor, row.run.currency.code) for minor in (row.net_minor, row.tax_minor, row.gross_minor)),
        )
        for row in page.rows
    ]
    runs = {row.run_id: row.run for row in page.rows}
    context = {"section": _section(request), "tab": "invoices", "page": page, "rows": rows, "runs": runs.values()}
    return render_page(request, "settlement/payment_invoices.html", context)


@require_safe
@only_for(belongs_to_a_party)
def invoice_file(request: HttpRequest, run: int) -> HttpResponse:
    """The rows of one run that the caller may see, as CSV."""
    rows = list_invoice_rows(_readable(request)).filter(run_id=run).order_by("id")
    if not rows.exists():
        raise Http404
    headers = {"Content-Disposition": f'attachment; filename="invoice-rows-{run}.csv"'}
    return HttpResponse(write_invoice_csv(rows), content_type="text/csv; charset=utf-8", headers=headers)


def _runs(netting: NettingSet) -> list[object]:
    return [each.run for each in netting.runs.select_related("run__product").order_by("run_id")]


def _readable(request: HttpRequest) -> frozenset[int] | None:
    access = access_of(request)
    return None if access.reads_everything else access.party_ids


def _section(request: HttpRequest) -> str:
    return "audit" if access_of(request).reads_everything else "statements"
