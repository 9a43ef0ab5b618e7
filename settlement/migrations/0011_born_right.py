from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from ledger.sql import run_sql_file
from settlement.sql import SQL_FOLDER


class Migration(migrations.Migration):
    dependencies: ClassVar = [
        ("exchange", "0012_kept_plans"),
        ("settlement", "0010_calendars_and_holds"),
    ]
    operations: ClassVar = [run_sql_file(SQL_FOLDER, "0011_born_right")]
