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
        ("settlement", "0008_stated_once"),
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
        migrations.CreateModel(
            name="PaymentReturn",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("bank_reference", models.CharField(blank=True, default="", max_length=120)),
                ("reason", models.CharField(max_length=200)),
                (
                    "state",
                    models.CharField(
                        choices=[("requested", "Requested"), ("confirmed", "Confirmed"), ("refused", "Refused")],
                        default="requested",
                        max_length=12,
                    ),
                ),
                ("requested_by", models.CharField(max_length=80)),
                ("requested_at", models.DateTimeField()),
                ("decided_by", models.CharField(blank=True, default="", max_length=80)),
                ("decided_at", models.DateTimeField(null=True)),
                (
                    "confirmation",
                    models.ForeignKey(
                        on_delete=models.PROTECT, related_name="returns", to="settlement.confirmationimport"
                    ),
                ),
                (
                    "instruction",
                    models.ForeignKey(
                        on_delete=models.PROTECT, related_name="returns", to="settlement.paymentinstruction"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "refused"), _negated=True),
                        fields=("instruction",),
                        name="payment_return_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("decided_at__isnull", True), ("decided_by", ""), ("state", "requested")),
                            models.Q(
                                ("state__in", ["confirmed", "refused"]),
                                models.Q(("decided_by", ""), _negated=True),
                                models.Q(("decided_by", models.F("requested_by")), _negated=True),
                                ("decided_at__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="payment_return_decided_by_another",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="InvoicedRun",
            fields=[
                (
                    "run",
                    models.OneToOneField(
                        on_delete=models.PROTECT,
                        primary_key=True,
                        serialize=False,
                        to="settlement.settlementrun",
                    ),
                ),
                ("invoiced_at", models.DateTimeField()),
            ],
        ),
        run_sql_file(SQL_FOLDER, "0009_payments_held"),
    ]
