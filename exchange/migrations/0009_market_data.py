from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.models import F, Q

from exchange.sql import SQL_FOLDER
from ledger.sql import run_sql_file


class Migration(migrations.Migration):
    dependencies: ClassVar = [("exchange", "0008_fees")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="CandleCursor",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("fill_id", models.BigIntegerField(default=0)),
                ("reversal_batch_no", models.BigIntegerField(default=0)),
                ("reversal_fill_id", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Candle",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "contract_id",
                        "seconds",
                        "starts_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("contract_id", models.BigIntegerField()),
                ("seconds", models.IntegerField(choices=[(60, "1m"), (300, "5m"), (3600, "1h"), (86400, "1d")])),
                ("starts_at", models.DateTimeField()),
                ("open_ticks", models.BigIntegerField()),
                ("high_ticks", models.BigIntegerField()),
                ("low_ticks", models.BigIntegerField()),
                ("close_ticks", models.BigIntegerField()),
                ("lots", models.BigIntegerField()),
                ("notional", models.BigIntegerField()),
                ("trades", models.BigIntegerField()),
                ("first_trade_no", models.BigIntegerField()),
                ("last_trade_no", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(("seconds__in", [60, 300, 3600, 86400])), name="candle_interval_known"
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            ("high_ticks__gte", F("open_ticks")),
                            ("low_ticks__lte", F("open_ticks")),
                            ("high_ticks__gte", F("close_ticks")),
                            ("low_ticks__lte", F("close_ticks")),
                        ),
                        name="candle_prices_within_range",
                    ),
                    models.CheckConstraint(condition=Q(("lots__gt", 0), ("trades__gt", 0)), name="candle_has_trades"),
                ],
            },
        ),
        run_sql_file(SQL_FOLDER, "0009_market_data"),
    ]
