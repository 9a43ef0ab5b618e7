from __future__ import annotations

from typing import ClassVar

from django.db import migrations

from exchange.sql import SQL_FOLDER
from ledger.sql import run_sql_file


class Migration(migrations.Migration):
    dependencies: ClassVar = [("exchange", "0011_order_of_offer"), ("ledger", "0006_kept_plans")]
    operations: ClassVar = [run_sql_file(SQL_FOLDER, "0012_kept_plans")]
