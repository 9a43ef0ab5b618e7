from __future__ import annotations

from django.db import migrations

from ledger.sql import run_sql_file
from settlement.sql import SQL_FOLDER


class Migration(migrations.Migration):
    dependencies = [("settlement", "0001_initial"), ("ledger", "0002_database_defences")]
    operations = [
        run_sql_file(SQL_FOLDER, "0002_usage"),
    ]
