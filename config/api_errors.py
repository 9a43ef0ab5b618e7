"""The one place where a refusal becomes HTTP: RFC 9457 problem bodies with a stable code.

A problem has `type` (the relative address of its description), `title`, `status`, `detail`, `code`, and the figures
that the failing rule used. Unexpected failures tell the caller nothing; the log has them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from ledger.api.authentication import CHALLENGE
from ledger.api.errors import BodyLengthMissing, BodyTooLarge, InvalidRequest
from ledger.errors import Category, DomainError, NotAllowed, NotAuthenticated
from settlement.errors import BatchTooLarge

_LOG = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 1
API_PREFIXES = ("/api/", "/problems", "/.well-known/", "/checkpoint")

STATUS_OF_CATEGORY: Mapping[Category, int] = {
    Category.INVALID: 400,
    Category.UNAUTHENTICATED: 401,
    Category.FORBIDDEN: 403,
    Category.NOT_FOUND: 404,
    Category.CONFLICT: 409,
    Category.REFUSED: 422,
    Category.BUSY: 503,
}
# What HTTP itself refuses, before any rule of the domain: code -> (status, meaning).
PROTOCOL_PROBLEMS: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "The request is not one that HTTP allows here, such as one for a foreign host."),
    "route_not_found": (404, "There is nothing at this address."),
    "method_not_allowed": (405, "The address does not take this method; the `Allow` header names those it takes."),
    "not_acceptable": (406, "None of the media types in `Accept` can be produced."),
    "unsupported_media_type": (415, "The body's media type is not one that the address reads."),
    "throttled": (429, "Too many requests; `Retry-After` says when to go on."),
    "internal_error": (500, "A fault of ours. What it left undone is not known unless `detail` says so: look first."),
    "unavailable": (503, "The database cannot be reached or did not answer in time; try again."),
}
# HTTP has a status of its own for these.
STATUS_OF_CODE: Mapping[str, int] = {
    BodyLengthMissing.code: 411,
    BodyTooLarge.code: 413,
    BatchTooLarge.code: 413,
    "internal_error": 500,
}

_CODE_OF_EXCEPTION: tuple[tuple[type[Exception], str], ...] = (
    (Http404, "route_not_found"),
    (exceptions.NotFound, "route_not_found"),
    (exceptions.MethodNotAllowed, "method_not_allowed"),
    (exceptions.NotAcceptable, "not_acceptable"),
    (exceptions.UnsupportedMediaType, "unsupported_media_type"),
    (exceptions.Throttled, "throttled"),
    (OperationalError, "unavailable"),
    (InterfaceError, "unavailable"),
)


def problem_response(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. None for what nobody foresaw: Django logs it and `server_error` answers."""
    refusal = _as_domain_error(exc)
    if refusal is not None:
        status = status_of(refusal)
        body = problem(refusal.code, status, refusal.message, refusal.fields)
        return Response(body, status=status, headers=_headers(status), content_type=CONTENT_TYPE)
    for kind, code in _CODE_OF_EXCEPTION:
        if isinstance(exc, kind):
            status, meaning = PROTOCOL_PROBLEMS[code]
            headers = _headers(status)
            if wait := getattr(exc, "wait", None):
                headers["Retry-After"] = str(int(wait))
            if status >= 500:
                _LOG.error("%s at %s", code, context["request"].path, exc_info=exc)
            return Response(problem(code, status, meaning), status=status, headers=headers, content_type=CONTENT_TYPE)
    return None


def problem(code: str, status: int, detail: str, fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A problem body. The refusal's own figures stand beside the five members, and never replace one of them."""
    return {
        **(fields or {}),
        "type": f"/problems/{code}",
        "title": title_of(code),
        "status": status,
        "detail": detail,
        "code": code,
    }


def title_of(code: str) -> str:
    """ "price_off_tick" -> "Price off tick"."""
    return code.replace("_", " ").capitalize()


def status_of(refusal: DomainError | type[DomainError]) -> int:
    """The HTTP status of a refusal."""
    return STATUS_OF_CODE.get(refusal.code, STATUS_OF_CATEGORY[refusal.category])


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400 outside any view."""
    if not request.path.startswith(API_PREFIXES):
        return defaults.bad_request(request, exception)
    return _plain_problem("bad_request")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 outside any view: a problem for the interface's addresses, a page for people's."""
    if not request.path.startswith(API_PREFIXES):
        return defaults.page_not_found(request, exception)
    return _plain_problem("route_not_found")


def server_error(request: HttpRequest) -> HttpResponse:
    """500: nothing about the fault itself."""
    if not request.path.startswith(API_PREFIXES):
        return defaults.server_error(request)
    return _plain_problem("internal_error")


def _plain_problem(code: str) -> JsonResponse:
    status, meaning = PROTOCOL_PROBLEMS[code]
    return JsonResponse(problem(code, status, meaning), status=status, content_type=CONTENT_TYPE)


def _as_domain_error(exc: Exception) -> DomainError | None:
    """The refusal, also where a library raised its own kind of the same."""
    match exc:
        case DomainError():
            return exc
        case exceptions.ValidationError():
            return _invalid_request(exc.detail)
        case ModelValidationError():
            return _invalid_request(exceptions.ValidationError(exc.messages).detail)
        case exceptions.ParseError():
            return InvalidRequest("The body cannot be read.", errors=[])
        case RequestDataTooBig():
            return BodyTooLarge("The body is too large.")
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return NotAuthenticated("Send an API key as 'Authorization: Bearer tb_…'.")
        case exceptions.PermissionDenied() | PermissionDenied():
            return NotAllowed("The caller may not do this.")
    return None


def _invalid_request(detail: Any) -> InvalidRequest:
    errors = [{"field": field, "detail": text} for field, text in _flattened(detail)]
    named = ", ".join(dict.fromkeys(error["field"] for error in errors if error["field"]))
    return InvalidRequest(f"The request is not valid: {named or errors[0]['detail']}.", errors=errors)


def _flattened(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """DRF's nested errors as (dotted path, text)."""
    if isinstance(detail, Mapping):
        for name, below in detail.items():
            yield from _flattened(below, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."))
    elif isinstance(detail, list):
        for below in detail:
            yield from _flattened(below, path)
    else:
        yield path, str(detail)


def _headers(status: int) -> dict[str, str]:
    match status:
        case 401:
            return {"WWW-Authenticate": CHALLENGE}
        case 403:
            return {"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope"'}
        case 503:
            return {"Retry-After": str(RETRY_SECONDS)}
    return {}
