"""What statements say, the signed statements, and what others put beside them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class StatedCore(models.Model):
    """What a party's statement of a run says, before it is signed: the canonical core and its digest. Append-only.

    Byte-identical whenever the run is repeated. An indicative one has no sequence and no previous digest.
    `transaction_id` is the transaction without legs that put the digest into the ledger's log, if there is one.
    """

    run = models.ForeignKey("settlement.SettlementRun", on_delete=models.PROTECT, related_name="cores")
    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="+")
    currency = models.ForeignKey("ledger.Asset", on_delete=models.PROTECT)
    sequence = models.IntegerField(null=True)
    core = models.BinaryField()
    digest = models.BinaryField(max_length=32)
    previous_digest = models.BinaryField(max_length=32, null=True)
    records = models.BigIntegerField()  # in its parts
    transaction_id = models.BigIntegerField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="core_once_a_run", fields=["run", "party"]),
            models.UniqueConstraint(name="core_sequence", fields=["party", "currency", "sequence"]),
            models.UniqueConstraint(name="core_chain_does_not_fork", fields=["party", "currency", "previous_digest"]),
            models.UniqueConstraint(name="core_posted_once", fields=["transaction_id"]),
            models.CheckConstraint(
                name="core_previous_in_chain", condition=Q(sequence__gt=1) ^ Q(previous_digest__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.party_id}"


class StatementPart(models.Model):
    """Records of a statement in their order, one canonical JSON text a line as they are under its root. Append-only."""

    stated = models.ForeignKey(StatedCore, on_delete=models.PROTECT, related_name="parts")
    number = models.IntegerField()
    first_record = models.BigIntegerField()
    records = models.IntegerField()
    content = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(name="statement_part_once", fields=["stated", "number"])]

    def __str__(self) -> str:
        return f"{self.stated_id}/{self.number}"


class Statement(models.Model):
    """What a party is owed and why, signed: one per (party, currency, run), chained by digest. Append-only.

    `jws` is the file as downloaded (JWS General JSON); `core_digest` the SHA-256 of its canonical core, which is
    byte-identical whenever the run is repeated. Statements of the first form, with their lines inside, have no
    `stated`; indicative ones have no sequence.
    """

    run = models.ForeignKey("settlement.SettlementRun", on_delete=models.PROTECT, related_name="statements")
    party = models.ForeignKey("ledger.Party", on_delete=models.PROTECT, related_name="statements")
    currency = models.ForeignKey("ledger.Asset", on_delete=models.PROTECT)
    stated = models.OneToOneField(StatedCore, on_delete=models.PROTECT, null=True, related_name="statement")
    sequence = models.IntegerField(null=True)
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


class StatementTimeToken(models.Model):
    """An RFC 3161 token of a time-stamping authority over a statement's file as it was signed. Append-only."""

    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="time_token")
    authority = models.CharField(max_length=200)
    token = models.BinaryField()
    stamped_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.statement_id} {self.stamped_at}"


class AuditorKey(models.Model):
    """An Ed25519 key that an auditor signs opinions with. Only `revoked_at` ever changes, once."""

    kid = models.CharField(max_length=64, primary_key=True)
    auditor = models.CharField(max_length=80)
    public_jwk = models.JSONField()
    valid_from = models.DateTimeField()
    registered_by = models.CharField(max_length=80)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.auditor} {self.kid}"


class Opinion(models.TextChoices):
    AGREED = "agreed"
    AGREED_WITH_FINDINGS = "agreed_with_findings"
    REFUSED = "refused"


class StatementOpinion(models.Model):
    """An auditor's signature over a statement's payload, with an opinion in its protected header. Append-only.

    `protected` and `signature` are the members of the JWS as they came (base64url).
    """

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="opinions")
    key = models.ForeignKey(AuditorKey, on_delete=models.PROTECT, related_name="opinions")
    opinion = models.CharField(max_length=24, choices=Opinion)
    findings_digest = models.BinaryField(max_length=32, null=True)
    protected = models.TextField()
    signature = models.TextField()
    given_at = models.DateTimeField()
    actor = models.CharField(max_length=80)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(name="opinion_once_a_key", fields=["statement", "key"]),
            models.CheckConstraint(name="opinion_known", condition=Q(opinion__in=Opinion.values)),
            models.CheckConstraint(
                name="opinion_findings_when_there_are_some",
                condition=Q(opinion=Opinion.AGREED_WITH_FINDINGS, findings_digest__isnull=False)
                | ~Q(opinion=Opinion.AGREED_WITH_FINDINGS),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.statement_id}: {self.opinion}"
