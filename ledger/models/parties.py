"""Who acts, and for whom: users, parties, memberships and API keys."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models


class User(AbstractUser):
    """A person who logs in. What they may do follows from their memberships, never from this row alone."""


class PartyKind(models.TextChoices):
    PROVIDER = "provider"
    BUYER = "buyer"
    BENEFICIARY = "beneficiary"
    HOUSE = "house"
    AUDITOR = "auditor"


class Party(models.Model):
    """The legal holder of accounts. `code` is its stable public name; it appears on statements."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=PartyKind)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "parties"
        constraints: ClassVar = [
            models.CheckConstraint(name="party_kind_known", condition=models.Q(kind__in=PartyKind.values)),
            models.UniqueConstraint(name="party_one_house", fields=["kind"], condition=models.Q(kind=PartyKind.HOUSE)),
        ]

    def __str__(self) -> str:
        return self.name


class MembershipRole(models.TextChoices):
    PROVIDER_STAFF = "provider_staff"
    BUYER_STAFF = "buyer_staff"
    OPERATOR = "operator"
    AUDITOR = "auditor"


class Membership(models.Model):
    """A user acts for a party in a role."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=16, choices=MembershipRole)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="membership_once", fields=["user", "party", "role"]),
            models.CheckConstraint(name="membership_role_known", condition=models.Q(role__in=MembershipRole.values)),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.party} · {self.role}"


class ApiKey(models.Model):
    """A key for the REST interface. Only a hash of the secret is kept; the prefix finds the row."""

    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="api_keys")
    label = models.CharField(max_length=80)
    prefix = models.CharField(max_length=16, unique=True)
    secret_hash = models.BinaryField(max_length=32)
    scopes = ArrayField(models.CharField(max_length=16))
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=80)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        verbose_name_plural = "API keys"

    def __str__(self) -> str:
        return f"{self.prefix} ({self.label})"
