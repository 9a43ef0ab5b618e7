from django.db import migrations, models

from ledger.sql import run_sql_file
from settlement.sql import SQL_FOLDER

WITHHELD = [
    ("cash_frozen", "Cash Frozen"),
    ("cash_closed", "Cash Closed"),
    ("open_debt", "Open Debt"),
    ("other_account", "Other Account"),
    ("dispute", "Dispute"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0007_statements_to_check"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="paymentinstruction", name="instruction_once_a_party"),
        migrations.AddField(
            model_name="paymentinstruction",
            name="withheld",
            field=models.CharField(blank=True, choices=WITHHELD, default="", max_length=24),
        ),
        migrations.AddConstraint(
            model_name="paymentinstruction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("withheld", "")), fields=("netting", "party"), name="instruction_once_a_party"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("withheld", ""),
                    models.Q(
                        ("file__isnull", True),
                        ("state", "returned"),
                        ("withheld__in", [value for value, _ in WITHHELD]),
                    ),
                    _connector="OR",
                ),
                name="instruction_withheld_was_not_sent",
            ),
        ),
        run_sql_file(SQL_FOLDER, "0008_payments_held"),
    ]
