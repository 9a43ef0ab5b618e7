"""What signing, opinions and time tokens refuse."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class InvalidAuditorKey(DomainError):
    """Not an Ed25519 public key under which a signature means something, or one that is registered already."""

    code = "invalid_auditor_key"


class InvalidOpinion(DomainError):
    """An opinion is agreed, agreed with findings and their digest, or refused, signed by a registered key."""

    code = "invalid_opinion"
    category = Category.UNAUTHENTICATED


class TimeStampFailed(DomainError):
    """The time-stamping authority did not answer, or its token is not over this file. It is asked again."""

    code = "time_stamp_failed"
    category = Category.BUSY
