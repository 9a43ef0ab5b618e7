"""Idempotency keys of changing requests, kept for ever."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class IdempotentRequest(models.Model):
    """(party, key) was used for this content, and this was the answer. Append-only."""

    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, db_index=False)
    key = models.CharField(max_length=120)
    operation = models.CharField(max_length=64)
    content = models.JSONField()
    answer = models.JSONField()
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="idempotent_request_once", fields=["party", "key"])]

    def __str__(self) -> str:
        return f"{self.party_id}/{self.key}"
