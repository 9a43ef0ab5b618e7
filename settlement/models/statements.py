"""Signed statements."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Statement(models.Model):
    """What a party is owed and why, signed: one per (party, currency, run), chained by digest. Append-only.

    `jws` is the file as downloaded (JWS General JSON); `core_digest` the SHA-256 of its canonical core, which is
    byte-identical whenever the run is repeated.
    """

    run = models.ForeignKey("settlement.SettlementRun", on_delete=models.PROTECT, related_name="statements")
    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="statements")
    currency = models.ForeignKey("ledger.Asset", on_delete=models.PROTECT)
    sequence = models.IntegerField()
    core_digest = models.BinaryField(max_length=32)
    previous_digest = models.BinaryField(max_length=32, null=True)
    jws = models.TextField()
    issued_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="statement_once_a_run", fields=["run", "party", "currency"]),
            models.UniqueConstraint(name="statement_sequence", fields=["party", "currency", "sequence"]),
            models.UniqueConstraint(
                name="statement_chain_does_not_fork",
                fields=["party", "currency", "previous_digest"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party} {self.currency} #{self.sequence}"
