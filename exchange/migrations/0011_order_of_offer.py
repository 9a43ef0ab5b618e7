from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies: ClassVar = [("exchange", "0010_defences")]
    operations: ClassVar = [
        migrations.AlterField("order", "offer_id", models.BigIntegerField(null=True)),
        migrations.AddIndex(
            "order",
            models.Index(name="order_of_offer", fields=["offer_id"], condition=Q(offer_id__isnull=False)),
        ),
    ]
