"""Statements as people read them, with what their verification finds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from ledger.clock import get_clock
from ledger.errors import NotFound
from ledger.keys.ring import public_jwks
from ledger.log.errors import NotInCheckpointYet
from ledger.models import Party
from ledger.models.keys import KeyState
from ledger.web import access_of, belongs_to_a_party, newest_first, only_for, reads_everything, render_page
from settlement.api.statement_file import stream
from settlement.disputes.entries import UNDECIDED
from settlement.errors import InvalidStatement
from settlement.models import Statement
from settlement.selectors.statement_files import (
    FILE_FORMS,
    RECORDS,
    SIGNED,
    base_name,
    open_file,
    open_signed,
)
from settlement.selectors.statement_records import prove_record
from settlement.selectors.statements import get_statement, list_opinions, list_statements, previous_of
from settlement.statement_view import RecordPage, record_pages, told_in_words
from settlement.statements.content import StatementContent, open_statement
from settlement.statements.proofs import statement_proof
from settlement.statements.readable import ReadableStatement, read_core
from settlement.statements.verify import Report, verify

RECORDS_CHECKED_AT_ONCE = 5_000  # a second of work; more of them when the person asks
WHOLE = "whole"  # in the query: check all records
# What each check of the verifier means, for someone who does not read its source.
CHECK_WORDS = {
    "key set": "The published keys can be read",
    "signatures": "Signed by a published key, while that key was valid",
    "canonical form": "The signed bytes are the one canonical form of their content",
    "content": "The content is a statement, and its digest is right",
    "lines": "Every line is there, in order, under the stated Merkle root",
    "records": "Every record is there, in order, under the stated Merkle root, and they sum to the totals",
    "balances": "Opening balance and movements give the closing balance",
    "totals": "The totals are the sums of the lines",
    "metering": "The meters' figures by kind of token hold together",
    "postings": "The account moved by what the lines say",
    "chain": "It follows on the statement before it",
    "earlier figures": "What it says was stated before is what was stated",
    "log": "It is in the exchange's signed log, which cannot be rewritten unseen",
    "checkpoint": "That log is the one under a checkpoint that you kept",
    "opinions": "Auditors' opinions are signed by keys of theirs",
    "time token": "A time-stamping authority saw it",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A statement that can be read: in words, and a page of each kind of its records."""

    content: StatementContent
    words: ReadableStatement
    pages: dict[str, RecordPage]


@require_safe
@only_for(belongs_to_a_party)
def statements(request: HttpRequest) -> HttpResponse:
    """The statements of the caller's own parties."""
    page = newest_first(request, list_statements(access_of(request).party_ids), "id")
    context = {"section": "statements", "tab": "statements", "page": page}
    return render_page(request, "settlement/statements.html", context)


@require_safe
@only_for(reads_everything)
def audit(request: HttpRequest) -> HttpResponse:
    """All statements; `?party=` narrows them down to one code."""
    code = request.GET.get("party", "")
    found = list_statements()
    page = newest_first(request, found.filter(party__code=code) if code else found, "id")
    parties = Party.objects.filter(pk__in=Statement.objects.values("party_id")).order_by("code")
    context = {"section": "audit", "tab": "statements", "page": page, "code": code, "parties": parties}
    return render_page(request, "settlement/audit.html", context)


@require_safe
@only_for(belongs_to_a_party)
def statement(request: HttpRequest, number: int) -> HttpResponse:
    """One statement in words, and what an offline verifier says about the stored file."""
    found = _visible_statement(request, number)
    previous = previous_of(found)
    opened = _opened(request, found)
    report = _verify_stored(found, previous, opened, whole=WHOLE in request.GET)
    disputable = _is_disputable(request, found, opened)
    chain = Statement.objects.filter(party_id=found.party_id, currency_id=found.currency_id)
    return render_page(
        request,
        "settlement/statement.html",
        _frame(request, found)
        | {
            "opened": opened,
            "disputable": disputable,
            "disputes": list(found.disputes.filter(state__in=UNDECIDED).order_by("line_number")),
            "columns": 8 + disputable + bool(opened and opened.words.previous_run),
            "report": report,
            "checks": [(check, CHECK_WORDS.get(check.name, check.name.capitalize())) for check in report.checks],
            "previous": previous,
            "following": None if found.sequence is None else chain.filter(sequence=found.sequence + 1).first(),
            "opinions": list_opinions(found),
            "forms": [form for form in FILE_FORMS.values() if form.code != SIGNED],
            "name": base_name(found),
            "previous_name": base_name(previous) if previous else "",
        },
    )


@require_safe
@only_for(belongs_to_a_party)
def statement_record(request: HttpRequest, number: int, record: int) -> HttpResponse:
    """One record alone, with the path that leads from it to the statement's root."""
    found = _visible_statement(request, number)
    try:
        proof = prove_record(found, open_statement(found.jws), record)
    except (NotFound, InvalidStatement) as error:
        raise Http404 from error
    told = json.loads(proof.text)
    context = _frame(request, found) | {"proof": proof, "record": told, "told": list(told_in_words(told["body"]))}
    return render_page(request, "settlement/statement_record.html", context)


@require_safe
@only_for(belongs_to_a_party)
def statement_file(request: HttpRequest, number: int, form: str = SIGNED) -> StreamingHttpResponse:
    """The statement in one of its forms; the signed one byte for byte as it was issued."""
    try:
        return stream(open_file(_visible_statement(request, number), form))
    except (NotFound, InvalidStatement) as error:
        raise Http404 from error


def _verify_stored(found: Statement, previous: Statement | None, opened: Opened | None, *, whole: bool) -> Report:
    """What the offline verifier says, given the file as stored and the keys as published; its records as well if there
    are not so many that somebody would wait for it, or when they are asked for."""
    with_records = opened is not None and (whole or opened.words.records_count <= RECORDS_CHECKED_AT_ONCE)
    records = b"".join(open_file(found, RECORDS).pieces) if opened is not None and with_records else None
    first_form = opened is not None and opened.content.inside is not None
    keys = public_jwks()
    return verify(
        open_signed(found),
        json.dumps(keys).encode(),
        None if previous is None else open_signed(previous),
        records=None if opened is None or first_form else records,
        need_records=with_records,
        proof=None if opened is None or first_form else _newer_proof(found, opened, keys),
        first_form=first_form,
        now=get_clock().now(),
    )


def _newer_proof(found: Statement, opened: Opened, keys: Mapping[str, Any]) -> bytes | None:
    """What a statement by a key that is no longer in use needs besides its own proof; None for all others."""
    current = {key["kid"] for key in keys["keys"] if key.get("status") == KeyState.CURRENT}
    if any(signature.kid in current for signature in opened.content.signatures[:1]):
        return None
    try:
        return json.dumps(statement_proof(found)).encode()
    except (NotFound, NotInCheckpointYet):
        return None


def _opened(request: HttpRequest, found: Statement) -> Opened | None:
    """What it says; None if the stored file was spoilt, which the verification then tells."""
    try:
        content = open_statement(found.jws)
        return Opened(content, read_core(content.core), record_pages(request, found, content))
    except InvalidStatement:
        return None


def _is_disputable(request: HttpRequest, found: Statement, opened: Opened | None) -> bool:
    """Whether the person may still say that a line is wrong."""
    until = opened.words.dispute_until if opened is not None else None
    own = found.party_id in access_of(request).party_ids
    return own and until is not None and get_clock().now() < until and found.sequence is not None


def _frame(request: HttpRequest, found: Statement) -> dict[str, Any]:
    return {"section": "audit" if access_of(request).reads_everything else "statements", "statement": found}


def _visible_statement(request: HttpRequest, number: int) -> Statement:
    access = access_of(request)
    try:
        return get_statement(number, None if access.reads_everything else access.party_ids)
    except NotFound as error:
        raise Http404 from error
