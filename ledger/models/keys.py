"""The ring of signing keys."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class KeyState(models.TextChoices):
    NEXT = "next"
    CURRENT = "current"
    RETIRED = "retired"
    REVOKED = "revoked"


class KeyCustody(models.TextChoices):
    DATABASE = "database"  # encrypted, in the key's own row
    PKCS11 = "pkcs11"  # in a token that signs; `label` finds it there


class SigningKey(models.Model):
    """An Ed25519 key of the house. The private part is encrypted at rest, or in a PKCS#11 token and then empty here;
    public parts stay published for ever."""

    kid = models.CharField(max_length=64, primary_key=True)
    public_jwk = models.JSONField()
    private_key_encrypted = models.BinaryField()
    custody = models.CharField(max_length=8, choices=KeyCustody, default=KeyCustody.DATABASE)
    label = models.CharField(max_length=80, default="", blank=True)
    state = models.CharField(max_length=8, choices=KeyState)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="signing_key_one_current", fields=["state"], condition=Q(state=KeyState.CURRENT)
            ),
            models.CheckConstraint(name="signing_key_state_known", condition=Q(state__in=KeyState.values)),
            models.CheckConstraint(
                name="signing_key_somewhere",
                condition=(Q(custody=KeyCustody.DATABASE, label="") & ~Q(private_key_encrypted=b""))
                | (Q(custody=KeyCustody.PKCS11, private_key_encrypted=b"") & ~Q(label="")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kid} ({self.state})"
