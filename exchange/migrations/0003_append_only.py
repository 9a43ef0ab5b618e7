from __future__ import annotations

from django.db import migrations

from exchange.sql import SQL_FOLDER
from ledger.sql import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("exchange", "0002_relations"), ("ledger", "0002_database_defences")]
    operations = [
        run_sql_file(SQL_FOLDER, "0003_append_only"),
    ]
