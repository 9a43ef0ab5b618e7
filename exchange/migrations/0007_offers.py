from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
from django.db import migrations, models

from exchange.sql import SQL_FOLDER
from ledger.sql import run_sql_file

STATES = [("open", "Open"), ("paused", "Paused"), ("withdrawn", "Withdrawn")]
WEEKDAYS = "Of the windows' starts in UTC; bit 0 is Monday."
HOURLY = "Prices by UTC hour of the windows' starts, null: no offer."


def _terms(*, null: bool) -> models.ForeignKey:  # type: ignore[type-arg]  # as a migration sees it
    return models.ForeignKey(
        "exchange.ProductTerms", on_delete=django.db.models.deletion.PROTECT, related_name="+", null=null
    )


class Migration(migrations.Migration):
    dependencies: ClassVar = [("exchange", "0006_contract_life")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="OfferOrder",
            fields=[
                ("order_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("offer_id", models.BigIntegerField(db_index=True)),
                ("contract_id", models.BigIntegerField()),
                ("replaceable", models.BooleanField(default=False)),
            ],
        ),
        migrations.AddField("offer", "weekdays", models.SmallIntegerField(default=127, help_text=WEEKDAYS)),
        migrations.AddField("offer", "hourly_ticks", models.JSONField(null=True, help_text=HOURLY)),
        migrations.AlterField(
            "offer",
            "price_ticks",
            models.BigIntegerField(help_text="The lowest, if prices differ by the hour."),
        ),
        migrations.AddField("offer", "terms", _terms(null=True), preserve_default=False),
        migrations.AlterField("offer", "state", models.CharField(choices=STATES, default="open", max_length=10)),
        migrations.RemoveConstraint("offer", "offer_state_known"),
        migrations.AddConstraint(
            "offer",
            models.CheckConstraint(
                condition=models.Q(("state__in", ["open", "paused", "withdrawn"])), name="offer_state_known"
            ),
        ),
        migrations.AddConstraint(
            "offer",
            models.CheckConstraint(
                condition=models.Q(("weekdays__gte", 1), ("weekdays__lte", 127)), name="offer_weekdays_known"
            ),
        ),
        migrations.AddIndex(
            "offer",
            models.Index(condition=models.Q(("state", "open")), fields=["last_delivery"], name="offer_standing"),
        ),
        run_sql_file(SQL_FOLDER, "0007_offers"),
        migrations.AlterField("offer", "terms", _terms(null=False)),
    ]
