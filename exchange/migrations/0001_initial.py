import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="CapacityDeclaration",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("basis", models.JSONField()),
                ("tokens_per_s", models.BigIntegerField()),
                ("declared_at", models.DateTimeField()),
                ("declared_by", models.CharField(max_length=80)),
            ],
            options={
                "get_latest_by": "id",
            },
        ),
        migrations.CreateModel(
            name="Contract",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("symbol", models.CharField(max_length=80, unique=True)),
                ("delivery_start", models.DateTimeField(db_index=True)),
                ("delivery_end", models.DateTimeField(db_index=True)),
                ("gate_open", models.DateTimeField()),
                ("gate_close", models.DateTimeField(db_index=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("listed", "Listed"),
                            ("trading", "Trading"),
                            ("halted", "Halted"),
                            ("closed", "Closed"),
                            ("delivering", "Delivering"),
                            ("delivered", "Delivered"),
                            ("settled", "Settled"),
                            ("cancelled", "Cancelled"),
                        ],
                        db_index=True,
                        default="listed",
                        max_length=12,
                    ),
                ),
                ("listing_price_ticks", models.BigIntegerField()),
                ("band_low_ticks", models.BigIntegerField()),
                ("band_high_ticks", models.BigIntegerField()),
                ("bond_per_lot", models.BigIntegerField()),
                ("reference_price_micros", models.BigIntegerField(null=True)),
                ("reference_step", models.CharField(blank=True, default="", max_length=24)),
                ("obligations_hash", models.BinaryField(max_length=32, null=True)),
                ("listed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ContractMarket",
            fields=[
                ("contract_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("book_seq", models.BigIntegerField(default=0)),
                ("last_trade_no", models.BigIntegerField(default=0)),
                ("last_price_ticks", models.BigIntegerField(null=True)),
                ("traded_lots", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Fill",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("contract_id", models.BigIntegerField()),
                ("trade_no", models.BigIntegerField()),
                ("buy_order_id", models.BigIntegerField()),
                ("sell_order_id", models.BigIntegerField()),
                ("buyer_id", models.BigIntegerField()),
                ("provider_id", models.BigIntegerField()),
                ("taker_side", models.CharField(choices=[("buy", "buy"), ("sell", "sell")], max_length=4)),
                ("price_ticks", models.BigIntegerField()),
                ("lots", models.BigIntegerField()),
                ("tokens", models.BigIntegerField()),
                ("notional", models.BigIntegerField()),
                ("buyer_fee", models.BigIntegerField()),
                ("buyer_fee_ppm", models.IntegerField()),
                ("provider_fee_ppm", models.IntegerField()),
                ("bond", models.BigIntegerField()),
                ("overage_tokens", models.BigIntegerField()),
                ("overage_hold", models.BigIntegerField()),
                ("executed_at", models.DateTimeField()),
                ("batch_no", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Intake",
            fields=[
                ("seq", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("place_order", "Place Order"),
                            ("cancel_order", "Cancel Order"),
                            ("open_gate", "Open Gate"),
                            ("close_gate", "Close Gate"),
                            ("halt", "Halt"),
                            ("resume", "Resume"),
                        ],
                        max_length=16,
                    ),
                ),
                ("contract_id", models.BigIntegerField()),
                ("party_id", models.BigIntegerField(null=True)),
                ("actor", models.CharField(max_length=80)),
                ("client_order_id", models.CharField(max_length=64, null=True)),
                ("payload", models.JSONField()),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "verbose_name": "command",
                "verbose_name_plural": "command log",
            },
        ),
        migrations.CreateModel(
            name="IntakeResult",
            fields=[
                ("seq", models.BigIntegerField(primary_key=True, serialize=False)),
                ("batch_no", models.BigIntegerField()),
                ("result", models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name="Offer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("window_seconds", models.IntegerField()),
                ("first_delivery", models.DateTimeField()),
                ("last_delivery", models.DateTimeField(help_text="Start of the last window offered.")),
                ("lots", models.BigIntegerField(help_text="Lots in each window.")),
                ("price_ticks", models.BigIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("withdrawn", "Withdrawn")], default="open", max_length=10
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=80)),
            ],
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("contract_id", models.BigIntegerField()),
                ("party_id", models.BigIntegerField()),
                ("side", models.CharField(choices=[("buy", "buy"), ("sell", "sell")], max_length=4)),
                ("price_ticks", models.BigIntegerField()),
                ("lots", models.BigIntegerField()),
                ("remaining_lots", models.BigIntegerField()),
                ("time_in_force", models.CharField(choices=[("gtc", "gtc"), ("ioc", "ioc")], max_length=4)),
                ("overage_permille", models.IntegerField(default=0)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("open", "open"),
                            ("filled", "filled"),
                            ("cancelled", "cancelled"),
                            ("expired", "expired"),
                            ("rejected", "rejected"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "close_reason",
                    models.CharField(blank=True, default="", help_text="Or the code of the refusal.", max_length=32),
                ),
                ("client_order_id", models.CharField(max_length=64, null=True)),
                ("offer_id", models.BigIntegerField(db_index=True, null=True)),
                ("placed_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=60, unique=True)),
                ("description", models.CharField(blank=True, default="", max_length=200)),
                ("listed_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="ProductTerms",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.IntegerField()),
                ("terms", models.JSONField()),
                ("terms_hash", models.BinaryField(max_length=32)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=80)),
            ],
            options={
                "verbose_name_plural": "product terms",
            },
        ),
        migrations.CreateModel(
            name="Qualification",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("endpoint_url", models.URLField()),
                ("model_name", models.CharField(max_length=120)),
                ("access", models.TextField(help_text="How a buyer is granted access, in words a person can follow.")),
                ("entitlement_attested_by", models.CharField(max_length=120)),
                ("probe_evidence", models.TextField(blank=True, default="")),
                ("valid_from", models.DateTimeField()),
                ("valid_until", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="SequencerBatch",
            fields=[
                ("no", models.BigIntegerField(primary_key=True, serialize=False)),
                ("epoch", models.BigIntegerField()),
                ("first_seq", models.BigIntegerField()),
                ("last_seq", models.BigIntegerField()),
                ("ran_at", models.DateTimeField()),
                ("ledger_version", models.BigIntegerField()),
                ("ledger_transaction", models.BigIntegerField(null=True)),
            ],
            options={
                "verbose_name_plural": "sequencer batches",
            },
        ),
        migrations.CreateModel(
            name="SequencerState",
            fields=[
                ("shard", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("epoch", models.BigIntegerField(default=0)),
                ("cursor", models.BigIntegerField(default=0)),
                ("last_batch", models.BigIntegerField(default=0)),
                ("last_fill", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Site",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=80)),
                ("region", models.CharField(max_length=40)),
            ],
        ),
        migrations.CreateModel(
            name="CapacityAllocation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("window_seconds", models.IntegerField()),
                ("ppm", models.IntegerField()),
                (
                    "declaration",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="allocations",
                        to="exchange.capacitydeclaration",
                    ),
                ),
            ],
        ),
    ]
