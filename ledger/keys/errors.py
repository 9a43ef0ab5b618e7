"""What the ring of signing keys refuses."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class SigningKeyState(DomainError):
    """A signing key goes from next to current to retired, and from there or from next to revoked: never otherwise."""

    code = "signing_key_state"
    category = Category.CONFLICT
