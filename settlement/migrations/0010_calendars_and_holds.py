from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from ledger.sql import run_sql_file
from settlement.sql import SQL_FOLDER


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0009_payments_held"),
    ]

    operations = [
        migrations.AddField(
            model_name="settlementrun",
            name="calendar",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="settlement.settlementcalendar",
            ),
        ),
        migrations.CreateModel(
            name="Unheld",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("contract_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("provider_id", models.BigIntegerField()),
                ("ref", models.CharField(max_length=12)),
                ("micros", models.BigIntegerField()),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="settlement.settlementrun",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "unheld",
                "indexes": [models.Index(fields=["contract_id"], name="unheld_of_contract")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("run", "contract_id", "buyer_id", "provider_id", "ref"), name="unheld_once_a_run"
                    ),
                    models.CheckConstraint(condition=models.Q(("micros", 0), _negated=True), name="unheld_not_zero"),
                ],
            },
        ),
        run_sql_file(SQL_FOLDER, "0010_calendars_and_holds"),
    ]
