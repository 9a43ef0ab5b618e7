from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from ledger.sql import SQL_FOLDER, run_sql_file


class Migration(migrations.Migration):
    dependencies: ClassVar = [("ledger", "0005_key_custody")]
    operations: ClassVar = [run_sql_file(SQL_FOLDER, "0006_kept_plans")]
