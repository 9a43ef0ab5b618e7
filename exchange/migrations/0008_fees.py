from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

from exchange.sql import SQL_FOLDER
from ledger.sql import run_sql_file

BASES = ["contract", "notional"]


class Migration(migrations.Migration):
    dependencies: ClassVar = [("exchange", "0007_offers"), ("ledger", "0004_posting_door")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="FeeSchedule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.IntegerField()),
                ("basis", models.CharField(choices=[(basis, basis) for basis in BASES], max_length=8)),
                ("tiers", models.JSONField()),
                ("valid_from", models.DateTimeField()),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=80)),
                (
                    "currency",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="ledger.asset"),
                ),
                (
                    "product",
                    models.ForeignKey(
                        blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to="exchange.product"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PartyVolume",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "party_id", "currency_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("party_id", models.BigIntegerField()),
                ("currency_id", models.BigIntegerField()),
                ("volume_micros", models.BigIntegerField()),
                ("counted_at", models.DateTimeField()),
            ],
        ),
        migrations.AddConstraint(
            model_name="feeschedule",
            constraint=models.UniqueConstraint(
                fields=("currency", "product", "version"), name="fee_schedule_version", nulls_distinct=False
            ),
        ),
        migrations.AddConstraint(
            model_name="feeschedule",
            constraint=models.CheckConstraint(condition=Q(basis__in=BASES), name="fee_schedule_basis_known"),
        ),
        run_sql_file(SQL_FOLDER, "0008_fees"),
    ]
