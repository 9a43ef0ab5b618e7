"""The shapes of settlement runs outside."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ledger.api.fields import DigestField
from settlement.models import RunKind, RunState, SettlementJob, SettlementRun
from settlement.selectors.run_progress import StepProgress, failures_of, steps_of

FAILURES_SHOWN = 200


class StepSerializer(serializers.Serializer[StepProgress]):
    """The jobs of one step, counted."""

    step = serializers.CharField()
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    running = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Whose last attempt failed.")
    waiting = serializers.IntegerField()


class FailureSerializer(serializers.Serializer[SettlementJob]):
    """A job whose last attempt failed."""

    job = serializers.CharField(source="pk")
    step = serializers.CharField()
    subject = serializers.CharField(source="subject_id", help_text="Shard or party.")
    state = serializers.CharField()
    attempt = serializers.IntegerField()
    error = serializers.CharField()


class SettlementRunSerializer(serializers.Serializer[SettlementRun]):
    """One pass over the contracts whose delivery ended in a period."""

    id = serializers.CharField()
    key = serializers.CharField(help_text="Its name on statements.")
    kind = serializers.ChoiceField(choices=RunKind.choices)
    sequence = serializers.IntegerField()
    product = serializers.CharField(source="product.code", default=None, allow_null=True)
    currency = serializers.CharField(source="currency.code")
    period_start = serializers.DateTimeField()
    period_end = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=RunState.choices)
    input_digest = DigestField(allow_null=True)
    usage_through = serializers.IntegerField(allow_null=True, help_text="Number of the last call of usage it read.")
    rules_version = serializers.CharField()
    code_version = serializers.CharField()
    value_date = serializers.DateField(allow_null=True)
    dispute_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True)


class SettlementRunDetailSerializer(SettlementRunSerializer):
    """With how far it is, and what went wrong."""

    steps = serializers.SerializerMethodField()
    failures = serializers.SerializerMethodField(help_text=f"At most {FAILURES_SHOWN}.")

    @extend_schema_field(StepSerializer(many=True))
    def get_steps(self, run: SettlementRun) -> list[dict[str, Any]]:
        return [dict(StepSerializer(step).data) for step in steps_of([run.pk])[run.pk]]

    @extend_schema_field(FailureSerializer(many=True))
    def get_failures(self, run: SettlementRun) -> list[dict[str, Any]]:
        return [dict(FailureSerializer(job).data) for job in failures_of(run.pk)[:FAILURES_SHOWN]]
