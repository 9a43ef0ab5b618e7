"""The closed list of ways a request can fail.

Every refusal in the product is a `DomainError` with a stable code. The category is domain language; only
`config/api_errors.py` knows which HTTP status it becomes. Packages add leaves in their own `errors.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Category(StrEnum):
    INVALID = "invalid"  # the request makes no sense; correct it
    UNAUTHENTICATED = "unauthenticated"  # we do not know who asks
    FORBIDDEN = "forbidden"  # we know who asks, and they may not
    NOT_FOUND = "not_found"  # nothing there, or nothing the caller may see
    CONFLICT = "conflict"  # contradicts what is already recorded
    REFUSED = "refused"  # well formed, but the rules of the market say no
    BUSY = "busy"  # try again later


class DomainError(Exception):
    """A refusal with a stable code.

    `code` and `category` belong to the class; `fields` are the figures the rule used (strings and integers,
    JSON-safe); the message says what was wrong and what to do.
    """

    code: str = "error"
    category: Category = Category.INVALID

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields


class InvalidAmount(DomainError):
    """A number is not an integer amount, price or quantity in range."""

    code = "invalid_amount"


class InvalidText(DomainError):
    """A text for the journal is too long or holds a character that cannot be stored; `field` names it."""

    code = "invalid_text"


class UnbalancedTransaction(DomainError):
    """The legs of a transaction do not sum to zero in every asset."""

    code = "unbalanced_transaction"


class ReferenceConflict(DomainError):
    """The reference was used before with other content; `field` names the first difference."""

    code = "reference_conflict"
    category = Category.CONFLICT


class InsufficientFunds(DomainError):
    """An account would fall below its floor."""

    code = "insufficient_funds"
    category = Category.REFUSED


class HoldExceeded(DomainError):
    """A hold would become negative: more is released than was held."""

    code = "hold_exceeded"
    category = Category.CONFLICT


class AccountFrozen(DomainError):
    """The account is frozen or closed."""

    code = "account_frozen"
    category = Category.REFUSED


class AccountClosed(DomainError):
    """The account is closed, which is final."""

    code = "account_closed"
    category = Category.CONFLICT


class AccountNotEmpty(DomainError):
    """An account closes only when its balance is 0 and nothing on it is held."""

    code = "account_not_empty"
    category = Category.REFUSED


class AccountNeeded(DomainError):
    """The account serves the whole market, or something still needs it: it stays open."""

    code = "account_needed"
    category = Category.REFUSED


class ReasonMissing(DomainError):
    """An act that needs a reason was asked for without one."""

    code = "reason_missing"


class NeedsAnotherPerson(DomainError):
    """Whoever asked for something cannot decide it as well."""

    code = "needs_another_person"
    category = Category.FORBIDDEN


class AlreadyDecided(DomainError):
    """It was decided before, and the other way."""

    code = "already_decided"
    category = Category.CONFLICT


class NotReversible(DomainError):
    """Only a deposit or withdrawal that is posted can be reversed."""

    code = "not_reversible"
    category = Category.CONFLICT


class NotAuthenticated(DomainError):
    """No API key, or one that is unknown or revoked."""

    code = "not_authenticated"
    category = Category.UNAUTHENTICATED


class NotAllowed(DomainError):
    """The caller's role or key scope does not cover this."""

    code = "not_allowed"
    category = Category.FORBIDDEN


class InvalidParty(DomainError):
    """A party's code or name cannot be used."""

    code = "invalid_party"


class InvalidMembership(DomainError):
    """A person cannot act in this role for this kind of party."""

    code = "invalid_membership"


class UserNameTaken(DomainError):
    """A user name is taken: capital and small letters make no other name."""

    code = "user_name_taken"
    category = Category.CONFLICT


class NotFound(DomainError):
    """There is no such thing, or the caller may not see it."""

    code = "not_found"
    category = Category.NOT_FOUND
