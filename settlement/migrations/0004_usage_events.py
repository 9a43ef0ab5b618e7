from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import settlement.models.fields
from ledger.sql import run_sql_file
from settlement.sql import SQL_FOLDER


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0003_embedded_broker"),
    ]

    operations = [
        migrations.CreateModel(
            name="PendingRollup",
            fields=[
                ("batch_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("received_at", models.DateTimeField()),
                ("failures", models.IntegerField(db_default=0, default=0)),
            ],
            options={
                "ordering": ["failures", "batch_id"],
            },
        ),
        migrations.CreateModel(
            name="UsageMinute",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "contract_id",
                        "buyer_id",
                        "provider_id",
                        "side",
                        "minute",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("contract_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("provider_id", models.BigIntegerField()),
                ("side", models.CharField(max_length=10)),
                ("minute", models.DateTimeField()),
                ("started", models.BigIntegerField()),
                ("completed", models.BigIntegerField()),
                ("refused", models.BigIntegerField()),
                ("input_uncached", settlement.models.fields.WideSumField()),
                ("input_cache_read", settlement.models.fields.WideSumField()),
                ("input_cache_write_short", settlement.models.fields.WideSumField()),
                ("input_cache_write_long", settlement.models.fields.WideSumField()),
                ("input_tool", settlement.models.fields.WideSumField()),
                ("output_visible", settlement.models.fields.WideSumField()),
                ("output_reasoning", settlement.models.fields.WideSumField()),
                ("millitokens", settlement.models.fields.WideSumField()),
                ("refused_millitokens", settlement.models.fields.WideSumField()),
            ],
        ),
        migrations.AddField(
            model_name="meter",
            name="signature_required",
            field=models.BooleanField(default=False),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE settlement_usageconflict ALTER raw TYPE bytea USING convert_to(raw::text, 'UTF8')",
                    "ALTER TABLE settlement_usageconflict ALTER raw TYPE jsonb USING convert_from(raw, 'UTF8')::jsonb",
                )
            ],
            state_operations=[
                migrations.AlterField(model_name="usageconflict", name="raw", field=models.BinaryField()),
            ],
        ),
        migrations.DeleteModel("UsageDedup"),
        migrations.DeleteModel("UsageEvent"),
        migrations.CreateModel(
            name="UsageEvent",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "received_at",
                        "batch_id",
                        "place",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("received_at", models.DateTimeField()),
                ("batch_id", models.BigIntegerField()),
                ("accepted_at", models.DateTimeField()),
                ("event_time", models.DateTimeField()),
                ("meter_id", models.BigIntegerField()),
                ("contract_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("provider_id", models.BigIntegerField()),
                ("input_uncached", models.BigIntegerField(default=0)),
                ("input_cache_read", models.BigIntegerField(default=0)),
                ("input_cache_write_short", models.BigIntegerField(default=0)),
                ("input_cache_write_long", models.BigIntegerField(default=0)),
                ("input_tool", models.BigIntegerField(default=0)),
                ("output_visible", models.BigIntegerField(default=0)),
                ("output_reasoning", models.BigIntegerField(default=0)),
                ("unexplained", models.BigIntegerField(default=0)),
                ("millitokens", models.BigIntegerField(default=0)),
                ("place", models.IntegerField()),
                ("requests", models.IntegerField(default=1)),
                ("adapter_version", models.SmallIntegerField(default=0)),
                (
                    "kind",
                    models.CharField(
                        max_length=12,
                        choices=[
                            ("started", "Started"),
                            ("completed", "Completed"),
                            ("refused", "Refused"),
                            ("void", "Void"),
                            ("aggregate", "Aggregate"),
                        ],
                    ),
                ),
                ("event_id", models.CharField(max_length=120)),
                ("content_hash", models.BinaryField(max_length=32)),
                ("request_id", models.CharField(max_length=120)),
                ("family", models.CharField(max_length=32, default="")),
                ("raw", models.BinaryField(null=True)),
                ("retry_of", models.CharField(max_length=120, null=True)),
                ("refusal_reason", models.CharField(max_length=20, null=True)),
                ("quarantine_reason", models.CharField(max_length=60, null=True)),
                ("supersedes", models.CharField(max_length=120, null=True)),
                ("why", models.CharField(max_length=200, null=True)),
                ("records_root", models.BinaryField(max_length=32, null=True)),
            ],
            options={"db_table": "settlement_usageevent", "managed": False},
        ),
        migrations.CreateModel(
            name="UsageDedup",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "meter_id", "event_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("meter_id", models.BigIntegerField()),
                ("batch_id", models.BigIntegerField()),
                ("place", models.IntegerField()),
                ("event_id", models.CharField(max_length=120)),
                ("content_hash", models.BinaryField(max_length=32)),
            ],
            options={"db_table": "settlement_usagededup", "managed": False},
        ),
        migrations.CreateModel(
            name="BiasDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("provider_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("product_id", models.BigIntegerField()),
                ("step", models.CharField(choices=[("zeroed", "Zeroed"), ("restored", "Restored")], max_length=10)),
                ("effective_from", models.DateTimeField()),
                ("decided_at", models.DateTimeField()),
                ("decided_by", models.CharField(max_length=80)),
                ("figures", models.JSONField(default=dict)),
                ("note", models.CharField(blank=True, default="", max_length=500)),
            ],
            options={
                "indexes": [models.Index(fields=["provider_id", "buyer_id", "product_id"], name="bias_of_pair")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("step__in", ["zeroed", "restored"])), name="bias_step_known"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DiscrepancyCase",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("contract_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("provider_id", models.BigIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("figures_differ", "Figures Differ"),
                            ("delivery_denied", "Delivery Denied"),
                            ("refusal_claimed", "Refusal Claimed"),
                            ("provider_alone", "Provider Alone"),
                            ("lost_end", "Lost End"),
                            ("repeated_request", "Repeated Request"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("answered", "Answered"),
                            ("proposed", "Proposed"),
                            ("decided", "Decided"),
                            ("resolved", "Resolved"),
                        ],
                        default="open",
                        max_length=10,
                    ),
                ),
                ("opened_at", models.DateTimeField()),
                ("changed_at", models.DateTimeField()),
                ("requests", models.BigIntegerField()),
                ("provider_millitokens", settlement.models.fields.WideSumField()),
                ("buyer_millitokens", settlement.models.fields.WideSumField()),
                ("settled_millitokens", settlement.models.fields.WideSumField()),
                (
                    "ruling",
                    models.CharField(
                        blank=True,
                        choices=[("provider", "Provider"), ("buyer", "Buyer"), ("minimum", "Minimum")],
                        default="",
                        max_length=10,
                    ),
                ),
                ("proposed_by", models.CharField(blank=True, default="", max_length=80)),
                ("decided_by", models.CharField(blank=True, default="", max_length=80)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["buyer_id", "id"], name="case_of_buyer"),
                    models.Index(fields=["provider_id", "id"], name="case_of_provider"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("contract_id", "buyer_id", "provider_id", "kind"), name="case_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "kind__in",
                                [
                                    "figures_differ",
                                    "delivery_denied",
                                    "refusal_claimed",
                                    "provider_alone",
                                    "lost_end",
                                    "repeated_request",
                                ],
                            )
                        ),
                        name="case_kind_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["open", "answered", "proposed", "decided", "resolved"])),
                        name="case_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("decided_by", ""),
                            models.Q(("decided_by", models.F("proposed_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="case_decided_by_another",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="MeterKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("thumbprint", models.CharField(max_length=43, unique=True)),
                ("public_key", models.BinaryField(max_length=32)),
                ("registered_at", models.DateTimeField()),
                ("registered_by", models.CharField(max_length=80)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_by", models.CharField(blank=True, default="", max_length=80)),
                (
                    "meter",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="keys", to="settlement.meter"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PairReconciliation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("contract_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("provider_id", models.BigIntegerField()),
                ("revision", models.IntegerField()),
                ("product_id", models.BigIntegerField()),
                ("delivery_start", models.DateTimeField()),
                ("reconciled_at", models.DateTimeField()),
                ("input_digest", models.BinaryField(max_length=32)),
                ("tolerance_zero", models.BooleanField()),
                ("difference_millitokens", settlement.models.fields.WideSumField()),
                ("tolerance_millitokens", settlement.models.fields.WideSumField()),
                ("compared_requests", models.BigIntegerField()),
                ("differing_requests", models.BigIntegerField()),
                ("figures", models.JSONField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["provider_id", "buyer_id", "product_id", "delivery_start"], name="pair_bias_window"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("contract_id", "buyer_id", "provider_id", "revision"), name="pair_reconciliation_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SignedBatch",
            fields=[
                ("batch_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("signature_input", models.CharField(max_length=400)),
                ("signature", models.BinaryField(max_length=64)),
                ("path", models.CharField(max_length=200)),
                ("content_type", models.CharField(max_length=100)),
                ("content_encoding", models.CharField(blank=True, default="", max_length=20)),
                ("body", models.BinaryField()),
                (
                    "meter_key",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="settlement.meterkey"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "signed batches",
            },
        ),
        migrations.CreateModel(
            name="UsageBatch",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("party_id", models.BigIntegerField()),
                ("actor", models.CharField(max_length=80)),
                ("received_at", models.DateTimeField()),
                ("body_digest", models.BinaryField(max_length=32)),
                ("accepted", models.IntegerField()),
                ("duplicates", models.IntegerField()),
                ("conflicts", models.IntegerField()),
                ("quarantined", models.IntegerField()),
                ("rejected", models.IntegerField()),
            ],
            options={
                "verbose_name_plural": "usage batches",
                "indexes": [models.Index(fields=["party_id", "id"], name="usage_batch_of_party")],
            },
        ),
        migrations.CreateModel(
            name="UsageSupersession",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "meter_id", "event_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("meter_id", models.BigIntegerField()),
                ("event_id", models.CharField(max_length=120)),
                ("by_event_id", models.CharField(max_length=120)),
                ("contract_id", models.BigIntegerField()),
                ("batch_id", models.BigIntegerField()),
            ],
            options={
                "indexes": [models.Index(fields=["contract_id"], name="usage_supersession_of_contract")],
            },
        ),
        migrations.CreateModel(
            name="UsageWatermark",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "meter_id",
                        "contract_id",
                        "sequence",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("meter_id", models.BigIntegerField()),
                ("contract_id", models.BigIntegerField()),
                ("sequence", models.BigIntegerField()),
                ("up_to", models.DateTimeField()),
                ("events", models.BigIntegerField()),
                ("root", models.BinaryField(max_length=32)),
                ("event_id", models.CharField(max_length=120)),
                ("batch_id", models.BigIntegerField()),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["contract_id"], name="usage_watermark_of_contract")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("events__gte", 0), ("sequence__gte", 1)), name="usage_watermark_counts"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CaseEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sequence", models.IntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("found", "Found"),
                            ("statement", "Statement"),
                            ("proposal", "Proposal"),
                            ("rejection", "Rejection"),
                            ("decision", "Decision"),
                            ("resolution", "Resolution"),
                        ],
                        max_length=12,
                    ),
                ),
                ("at", models.DateTimeField()),
                ("actor", models.CharField(max_length=80)),
                ("party_id", models.BigIntegerField(null=True)),
                ("text", models.CharField(blank=True, default="", max_length=2000)),
                ("details", models.JSONField(default=dict)),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="settlement.discrepancycase",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "case entries",
                "constraints": [
                    models.UniqueConstraint(fields=("case", "sequence"), name="case_entry_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["found", "statement", "proposal", "rejection", "decision", "resolution"])
                        ),
                        name="case_entry_kind_known",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="meterkey",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("revoked_at", None), ("revoked_by", "")),
                    models.Q(("revoked_at__isnull", False), models.Q(("revoked_by", ""), _negated=True)),
                    _connector="OR",
                ),
                name="meter_key_revoked_by_someone",
            ),
        ),
        run_sql_file(SQL_FOLDER, "0004_usage_events"),
    ]
