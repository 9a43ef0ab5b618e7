from __future__ import annotations

import django.contrib.postgres.fields
from django.db import migrations, models

from ledger.sql import run_sql_file
from settlement.sql import SQL_FOLDER


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0005_reconcile_queue"),
    ]

    operations = [
        migrations.CreateModel(
            name="DetachedDay",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("rows", models.BigIntegerField()),
                ("digest", models.BinaryField(max_length=32)),
                (
                    "contracts",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("detached_at", models.DateTimeField()),
                ("actor", models.CharField(max_length=80)),
            ],
        ),
        migrations.AddIndex(
            model_name="usagesupersession",
            index=models.Index(fields=["batch_id"], name="usage_supersession_of_batch"),
        ),
        migrations.AddIndex(
            model_name="usagewatermark",
            index=models.Index(fields=["batch_id"], name="usage_watermark_of_batch"),
        ),
        run_sql_file(SQL_FOLDER, "0006_usage_retention"),
    ]
