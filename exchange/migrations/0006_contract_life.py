import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q

from exchange.sql import SQL_FOLDER
from ledger.sql import run_sql_file


class Migration(migrations.Migration):

    dependencies = [
        ("exchange", "0005_order_life"),
        ("ledger", "0004_posting_door"),
    ]

    operations = [
        migrations.AddField(
            model_name="contract",
            name="state_reason",
            field=models.CharField(
                blank=True, default="", help_text="Why it is halted or was cancelled.", max_length=200
            ),
        ),
        migrations.AddField(model_name="contract", name="cancelled_at", field=models.DateTimeField(null=True)),
        migrations.CreateModel(
            name="ListingRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "window_seconds",
                    models.IntegerField(help_text="Length of the windows; a calendar month counts as 30 days."),
                ),
                ("windows_ahead", models.IntegerField()),
                (
                    "gate_open_lead_seconds",
                    models.IntegerField(help_text="From the opening of the gate to the start of delivery."),
                ),
                ("gate_close_lead_seconds", models.IntegerField()),
                ("listing_price_ticks", models.BigIntegerField()),
                ("follow_reference", models.BooleanField(default=False)),
                ("band_low_permille", models.IntegerField()),
                ("band_high_permille", models.IntegerField()),
                ("collar_permille", models.IntegerField(default=0)),
                ("shard", models.SmallIntegerField(default=1)),
                ("paused", models.BooleanField(default=False)),
                (
                    "refusal",
                    models.CharField(
                        blank=True,
                        default="",
                        help_text="Why the rule could not list a window when it was tried last.",
                        max_length=300,
                    ),
                ),
                ("changed_at", models.DateTimeField()),
                ("changed_by", models.CharField(max_length=80)),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="listing_rules",
                        to="exchange.product",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("product", "window_seconds"), name="listing_rule_once"),
                    models.CheckConstraint(
                        condition=Q(windows_ahead__gte=1, windows_ahead__lte=400),
                        name="listing_rule_windows_in_range",
                    ),
                    models.CheckConstraint(
                        condition=Q(gate_close_lead_seconds__gte=0)
                        & Q(gate_open_lead_seconds__gt=F("gate_close_lead_seconds")),
                        name="listing_rule_gates_in_order",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            listing_price_ticks__gt=0,
                            band_low_permille__gte=1,
                            band_low_permille__lte=1_000,
                            band_high_permille__gte=1_000,
                            collar_permille__gte=0,
                        ),
                        name="listing_rule_price_in_band",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OperatorDecision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("cancel_contract", "Cancel a contract"),
                            ("default_provider", "Declare a provider's default"),
                            ("bust_fill", "Bust a trade"),
                        ],
                        max_length=24,
                    ),
                ),
                (
                    "subject",
                    models.CharField(
                        help_text="A contract, a provider or a fill, as people call it.", max_length=120
                    ),
                ),
                ("payload", models.JSONField()),
                ("reason", models.CharField(help_text="Why, as the one who asked says.", max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[("requested", "Requested"), ("approved", "Approved"), ("refused", "Refused")],
                        default="requested",
                        max_length=12,
                    ),
                ),
                ("requested_by", models.CharField(max_length=80)),
                ("requested_at", models.DateTimeField()),
                ("decided_by", models.CharField(blank=True, default="", max_length=80)),
                ("decided_at", models.DateTimeField(null=True)),
                ("refusal", models.TextField(blank=True, default="")),
                ("seqs", models.JSONField(default=list, help_text="The commands that carry it out.")),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(kind__in=["cancel_contract", "default_provider", "bust_fill"]),
                        name="decision_kind_known",
                    ),
                    models.CheckConstraint(condition=~Q(reason=""), name="decision_has_reason"),
                    models.CheckConstraint(
                        condition=Q(state="requested", decided_by="", decided_at__isnull=True)
                        | (~Q(decided_by="") & ~Q(decided_by=F("requested_by")) & Q(decided_at__isnull=False)),
                        name="decision_by_another",
                    ),
                    models.CheckConstraint(
                        condition=Q(state__in=["requested", "approved"], refusal="")
                        | (Q(state="refused") & ~Q(refusal="")),
                        name="decision_state_complete",
                    ),
                    models.UniqueConstraint(
                        condition=Q(state="requested"), fields=("kind", "subject"), name="decision_waits_once"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ProviderDefault",
            fields=[
                (
                    "provider",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="default",
                        serialize=False,
                        to="ledger.party",
                    ),
                ),
                ("defaulted_at", models.DateTimeField()),
                (
                    "decision",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, to="exchange.operatordecision"
                    ),
                ),
            ],
        ),
        run_sql_file(SQL_FOLDER, "0006_contract_life"),
    ]
