from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("settlement", "0004_usage_events")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="ReconcileQueue",
            fields=[
                ("contract_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("since", models.DateTimeField()),
                ("turn", models.BigIntegerField(default=1)),
            ],
            options={
                "verbose_name_plural": "reconcile queue",
                "indexes": [models.Index(fields=["since", "contract_id"], name="reconcile_queue_order")],
            },
        ),
    ]
