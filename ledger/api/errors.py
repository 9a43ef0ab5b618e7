"""Refusals of the REST interface itself: what was sent cannot be read as a request of ours."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class InvalidRequest(DomainError):
    """Parts of the request are missing, unknown or malformed; `errors` names each with what is wrong."""

    code = "invalid_request"


class MalformedJson(DomainError):
    """The body is not JSON in UTF-8, or holds text that cannot be stored, such as half a character."""

    code = "malformed_json"


class DuplicateMember(DomainError):
    """An object of the body names a member twice; `member` is its name."""

    code = "duplicate_member"


class InvalidNumber(DomainError):
    """The body holds NaN, Infinity or a number too large for any reader."""

    code = "invalid_number"


class NestedTooDeep(DomainError):
    """The body nests lists and objects deeper than `maximum_depth`."""

    code = "nested_too_deep"


class BodyTooLarge(DomainError):
    """The body is larger than `maximum_bytes`."""

    code = "body_too_large"


class BodyLengthMissing(DomainError):
    """The body came in chunks, without a `Content-Length`, and was not read."""

    code = "body_length_missing"


class InvalidCursor(DomainError):
    """The cursor is not one that this list gave out."""

    code = "invalid_cursor"


class IdempotencyKeyMissing(DomainError):
    """A request that changes something carries no usable `Idempotency-Key` header."""

    code = "idempotency_key_missing"


class KeyNotFound(DomainError):
    """The caller's party has no API key with this prefix."""

    code = "key_not_found"
    category = Category.NOT_FOUND
