from __future__ import annotations

from django.db import migrations

from ledger.sql import SQL_FOLDER, run_sql_file


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [
        run_sql_file(SQL_FOLDER, "0002_append_only"),
        run_sql_file(SQL_FOLDER, "0002_posting"),
    ]
