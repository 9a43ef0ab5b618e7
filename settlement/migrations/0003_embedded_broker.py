from __future__ import annotations

from django.db import migrations

from ledger.sql import run_sql_file
from settlement.sql import SQL_FOLDER


class Migration(migrations.Migration):
    dependencies = [("settlement", "0002_usage_tables")]
    operations = [
        run_sql_file(SQL_FOLDER, "0003_embedded_broker"),
    ]
