from __future__ import annotations

from django.db import migrations

from exchange.sql import SQL_FOLDER
from ledger.sql import run_sql_file


class Migration(migrations.Migration):
    dependencies = [("exchange", "0003_append_only")]
    operations = [
        run_sql_file(SQL_FOLDER, "0004_fill_evidence"),
    ]
