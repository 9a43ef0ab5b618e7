from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.models import F, Q

from exchange.sql import SQL_FOLDER
from ledger.sql import run_sql_file


class Migration(migrations.Migration):
    dependencies: ClassVar = [("exchange", "0009_market_data")]
    operations: ClassVar = [
        migrations.RemoveConstraint(model_name="operatordecision", name="decision_by_another"),
        migrations.AddConstraint(
            model_name="operatordecision",
            constraint=models.CheckConstraint(
                condition=Q(state="requested", decided_by="", decided_at__isnull=True)
                | (~Q(decided_by="") & ~Q(decided_by__iexact=F("requested_by")) & Q(decided_at__isnull=False)),
                name="decision_by_another",
            ),
        ),
        run_sql_file(SQL_FOLDER, "0010_defences"),
    ]
