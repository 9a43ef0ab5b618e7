"""Signing keys in a PKCS#11 token: made there, used there, never seen outside.

The token is named by `settings.PKCS11_MODULE` (the library's path), `PKCS11_TOKEN` (its label) and `PKCS11_PIN`. Needs
the package python-pkcs11, the extra `hsm`. Ed25519 is CKM_EDDSA of PKCS#11 3.0.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings

from ledger.keys.errors import SigningTokenUnavailable
from ledger.keys.signers import thumbprint

_ED25519 = "1.3.101.112"
_PUBLIC_BYTES = 32

T = TypeVar("T")


class TokenSigner:
    """A key in the token. Each signature asks the token."""

    def __init__(self, label: str, public_key: Ed25519PublicKey) -> None:
        self._label = label
        self.public_key = public_key
        self.kid = thumbprint(public_key)

    def sign(self, message: bytes) -> bytes:
        """Raises `SigningTokenUnavailable`."""
        return _sessions.use(lambda session: _sign(session, self._label, message))


def make_token_key(label: str) -> Ed25519PublicKey:
    """Make a key under a label of its own, and give its public part. Raises `SigningTokenUnavailable`."""
    return _sessions.use(lambda session: _make(session, label))


def _make(session: Any, label: str) -> Ed25519PublicKey:
    from pkcs11 import Attribute, KeyType, Mechanism
    from pkcs11.util.ec import encode_named_curve_parameters

    curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(_ED25519)}
    parameters = session.create_domain_parameters(KeyType.EC_EDWARDS, curve, local=True)
    public, _ = parameters.generate_keypair(
        mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
        label=label,
        id=label.encode(),
        store=True,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    )
    return Ed25519PublicKey.from_public_bytes(bytes(public[Attribute.EC_POINT])[-_PUBLIC_BYTES:])


def _sign(session: Any, label: str, message: bytes) -> bytes:
    from pkcs11 import Mechanism, ObjectClass

    key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label=label)
    return bytes(key.sign(message, mechanism=Mechanism.EDDSA))


class _Sessions:
    """One open session a process: logging in takes a token long. Sessions do not survive a fork."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._session: Any = None
        self._of: tuple[int, str] | None = None

    def use(self, work: Callable[[Any], T]) -> T:
        """What `work` makes of a session; a session that the token has closed is opened once more."""
        try:
            from pkcs11.exceptions import PKCS11Error
        except ImportError:
            raise SigningTokenUnavailable(
                "A PKCS#11 token is set, and the package python-pkcs11 is not installed (the extra hsm)."
            ) from None
        with self._lock:
            if self._of == (os.getpid(), settings.PKCS11_MODULE):
                with suppress(PKCS11Error):
                    return work(self._session)
            self._open()
            try:
                return work(self._session)
            except PKCS11Error as error:
                raise _unavailable(error) from error

    def _open(self) -> None:
        import pkcs11
        from pkcs11.exceptions import PKCS11Error

        self._session = self._of = None
        try:
            library = pkcs11.lib(settings.PKCS11_MODULE)
            library.reinitialize()  # what a parent process had open is not ours
            token = library.get_token(token_label=settings.PKCS11_TOKEN)
            self._session = token.open(rw=True, user_pin=settings.PKCS11_PIN)
        except (PKCS11Error, OSError, RuntimeError) as error:
            raise _unavailable(error) from error
        self._of = (os.getpid(), settings.PKCS11_MODULE)


def _unavailable(error: Exception) -> SigningTokenUnavailable:
    said = str(error) or type(error).__name__
    return SigningTokenUnavailable(f"The PKCS#11 token {settings.PKCS11_TOKEN!r} cannot be used: {said}.")


_sessions = _Sessions()
