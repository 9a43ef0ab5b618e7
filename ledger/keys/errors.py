"""What the ring of signing keys refuses."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class SigningKeyState(DomainError):
    """A signing key goes from next to current to retired, and from there or from next to revoked: never otherwise."""

    code = "signing_key_state"
    category = Category.CONFLICT


class SigningTokenUnavailable(DomainError):
    """The PKCS#11 token that keeps a signing key cannot be used; the message says why. It is tried again."""

    code = "signing_token_unavailable"
    category = Category.BUSY
