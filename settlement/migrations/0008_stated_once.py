from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models

from ledger.sql import run_sql_file
from settlement.sql import SQL_FOLDER


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("ledger", "0006_kept_plans"),
        ("settlement", "0007_statements_to_check"),
    ]
    operations: ClassVar = [
        migrations.AddConstraint(
            model_name="statedcore",
            constraint=models.UniqueConstraint(fields=("transaction_id",), name="core_posted_once"),
        ),
        run_sql_file(SQL_FOLDER, "0008_stated_once"),
    ]
