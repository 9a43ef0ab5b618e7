import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("exchange", "0001_initial"),
        ("ledger", "0001_initial"),
    ]

    operations = [
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
                ("event_id", models.CharField(max_length=120)),
                ("content_hash", models.BinaryField(max_length=32)),
                ("usage_event_id", models.BigIntegerField()),
            ],
            options={
                "db_table": "settlement_usagededup",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="UsageEvent",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "window_start", "id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("window_start", models.DateTimeField()),
                ("id", models.BigIntegerField()),
                ("accepted_at", models.DateTimeField()),
                ("meter_id", models.BigIntegerField()),
                ("event_id", models.CharField(max_length=120)),
                ("kind", models.CharField(max_length=12)),
                ("contract_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("provider_id", models.BigIntegerField()),
                ("request_id", models.CharField(max_length=120)),
                ("retry_of", models.CharField(default="", max_length=120)),
                ("refusal_reason", models.CharField(default="", max_length=20)),
                ("family", models.CharField(max_length=32)),
                ("raw", models.JSONField()),
                ("content_hash", models.BinaryField(max_length=32)),
                ("buckets", models.JSONField()),
                ("millitokens", models.BigIntegerField()),
                (
                    "status",
                    models.CharField(choices=[("accepted", "Accepted"), ("quarantined", "Quarantined")], max_length=12),
                ),
                ("quarantine_reason", models.CharField(default="", max_length=60)),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "db_table": "settlement_usageevent",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="SettlementRun",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("period_start", models.DateTimeField()),
                ("period_end", models.DateTimeField()),
                ("kind", models.CharField(choices=[("initial", "Initial"), ("final", "Final")], max_length=16)),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("stating", "Stating"), ("published", "Published")],
                        default="open",
                        max_length=12,
                    ),
                ),
                ("input_digest", models.BinaryField(max_length=32, null=True)),
                ("rules_version", models.CharField(max_length=24)),
                ("created_at", models.DateTimeField()),
                ("published_at", models.DateTimeField(null=True)),
                ("currency", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="ledger.asset")),
            ],
        ),
        migrations.CreateModel(
            name="SettlementJob",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("step", models.CharField(choices=[("settle", "Settle"), ("state", "State")], max_length=16)),
                ("subject_id", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("due", "Due"), ("running", "Running"), ("done", "Done"), ("failed", "Failed")],
                        default="due",
                        max_length=8,
                    ),
                ),
                ("attempt", models.IntegerField(default=0)),
                ("lease_owner", models.CharField(blank=True, default="", max_length=80)),
                ("lease_until", models.DateTimeField(null=True)),
                ("fencing", models.BigIntegerField(default=0)),
                ("input_digest", models.BinaryField(max_length=32, null=True)),
                ("result_digest", models.BinaryField(max_length=32, null=True)),
                ("error", models.TextField(blank=True, default="")),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="jobs", to="settlement.settlementrun"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PositionSettlement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("contract_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("provider_id", models.BigIntegerField()),
                ("outcome", models.JSONField()),
                ("evidence", models.JSONField()),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="positions",
                        to="settlement.settlementrun",
                    ),
                ),
            ],
            options={
                "verbose_name": "settled position",
            },
        ),
        migrations.CreateModel(
            name="ClosingBalance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account_id", models.BigIntegerField()),
                ("balance", models.BigIntegerField()),
                ("held", models.BigIntegerField()),
                ("seq", models.BigIntegerField()),
                (
                    "party",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="ledger.party"),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="closings",
                        to="settlement.settlementrun",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="ShareSchedule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.IntegerField()),
                ("weights", models.JSONField()),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=80)),
                ("product", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="exchange.product")),
                (
                    "provider",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="share_schedules", to="ledger.party"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Statement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sequence", models.IntegerField()),
                ("core_digest", models.BinaryField(max_length=32)),
                ("previous_digest", models.BinaryField(max_length=32, null=True)),
                ("jws", models.TextField()),
                ("issued_at", models.DateTimeField()),
                ("currency", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="ledger.asset")),
                (
                    "party",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="statements", to="ledger.party"
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="statements",
                        to="settlement.settlementrun",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="UnmatchedUsage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("contract_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("provider_id", models.BigIntegerField()),
                ("tokens", models.BigIntegerField()),
                ("evidence", models.JSONField()),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="unmatched",
                        to="settlement.settlementrun",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "unmatched usage",
            },
        ),
        migrations.CreateModel(
            name="UsageConflict",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("meter_id", models.BigIntegerField()),
                ("event_id", models.CharField(max_length=120)),
                ("first_hash", models.BinaryField(max_length=32)),
                ("content_hash", models.BinaryField(max_length=32)),
                ("raw", models.JSONField()),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("meter_id", "event_id", "content_hash"), name="usage_conflict_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Meter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=80, unique=True)),
                (
                    "side",
                    models.CharField(
                        choices=[("provider", "Provider"), ("buyer", "Buyer"), ("gateway", "Gateway")], max_length=10
                    ),
                ),
                ("registered_at", models.DateTimeField()),
                (
                    "party",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="meters", to="ledger.party"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("side__in", ["provider", "buyer", "gateway"])), name="meter_side_known"
                    )
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="settlementrun",
            constraint=models.UniqueConstraint(
                fields=("currency", "period_start", "period_end", "kind"), name="run_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("period_start__lt", models.F("period_end"))), name="run_period_in_order"
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("published_at__isnull", False), ("state", "published")),
                    models.Q(models.Q(("state", "published"), _negated=True), ("published_at__isnull", True)),
                    _connector="OR",
                ),
                name="run_published_at_set_when_published",
            ),
        ),
        migrations.AddIndex(
            model_name="settlementjob",
            index=models.Index(
                condition=models.Q(("state", "done"), _negated=True), fields=["state", "id"], name="job_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementjob",
            constraint=models.UniqueConstraint(fields=("run", "step", "subject_id"), name="job_once"),
        ),
        migrations.AddConstraint(
            model_name="settlementjob",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["due", "running", "done", "failed"])), name="job_state_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="positionsettlement",
            constraint=models.UniqueConstraint(
                fields=("run", "contract_id", "buyer_id", "provider_id"), name="position_settled_once_a_run"
            ),
        ),
        migrations.AddConstraint(
            model_name="closingbalance",
            constraint=models.UniqueConstraint(fields=("run", "party"), name="closing_once_a_run"),
        ),
        migrations.AddConstraint(
            model_name="shareschedule",
            constraint=models.UniqueConstraint(
                fields=("provider", "product", "version"), name="share_schedule_version"
            ),
        ),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.UniqueConstraint(fields=("run", "party", "currency"), name="statement_once_a_run"),
        ),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.UniqueConstraint(fields=("party", "currency", "sequence"), name="statement_sequence"),
        ),
        migrations.AddConstraint(
            model_name="statement",
            constraint=models.UniqueConstraint(
                fields=("party", "currency", "previous_digest"), name="statement_chain_does_not_fork"
            ),
        ),
        migrations.AddConstraint(
            model_name="unmatchedusage",
            constraint=models.UniqueConstraint(
                fields=("run", "contract_id", "buyer_id", "provider_id"), name="unmatched_once_a_run"
            ),
        ),
    ]
