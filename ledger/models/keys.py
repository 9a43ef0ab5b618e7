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


class SigningKey(models.Model):
    """An Ed25519 key of the house. The private part is encrypted at rest; public parts stay published for ever."""

    kid = models.CharField(max_length=64, primary_key=True)
    public_jwk = models.JSONField()
    private_key_encrypted = models.BinaryField()
    state = models.CharField(max_length=8, choices=KeyState)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                name="signing_key_one_current", fields=["state"], condition=Q(state=KeyState.CURRENT)
            ),
            models.CheckConstraint(name="signing_key_state_known", condition=Q(state__in=KeyState.values)),
        ]

    def __str__(self) -> str:
        return f"{self.kid} ({self.state})"
