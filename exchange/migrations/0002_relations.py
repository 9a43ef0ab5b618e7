import django.db.models.deletion
from django.db import migrations, models

import exchange.matching.lifecycle


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("exchange", "0001_initial"),
        ("ledger", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="contract",
            name="asset",
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, to="ledger.asset"),
        ),
        migrations.AddIndex(
            model_name="fill",
            index=models.Index(fields=["contract_id", "buyer_id", "provider_id"], name="fill_of_position"),
        ),
        migrations.AddIndex(
            model_name="fill",
            index=models.Index(fields=["buyer_id", "-id"], name="fill_of_buyer"),
        ),
        migrations.AddIndex(
            model_name="fill",
            index=models.Index(fields=["provider_id", "-id"], name="fill_of_provider"),
        ),
        migrations.AddConstraint(
            model_name="fill",
            constraint=models.UniqueConstraint(fields=("contract_id", "trade_no"), name="fill_trade_no_once"),
        ),
        migrations.AddConstraint(
            model_name="fill",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("bond__gte", 0), ("buyer_fee__gte", 0), ("lots__gt", 0), ("notional__gt", 0), ("tokens__gt", 0)
                ),
                name="fill_amounts_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="intake",
            constraint=models.UniqueConstraint(
                condition=models.Q(("client_order_id__isnull", False)),
                fields=("party_id", "client_order_id"),
                name="client_order_id_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="intake",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind__in", ["place_order", "cancel_order", "open_gate", "close_gate", "halt", "resume"])
                ),
                name="intake_kind_known",
            ),
        ),
        migrations.AddField(
            model_name="offer",
            name="provider",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="offers", to="ledger.party"
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(
                condition=models.Q(("status", exchange.matching.lifecycle.OrderStatus["OPEN"])),
                fields=["contract_id", "id"],
                name="order_open",
            ),
        ),
        migrations.AddIndex(
            model_name="order",
            index=models.Index(fields=["party_id", "-id"], name="order_of_party"),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("remaining_lots__gte", 0), ("remaining_lots__lte", models.F("lots")), ("lots__gt", 0)
                ),
                name="order_remaining_lots_within_quantity",
            ),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(condition=models.Q(("price_ticks__gt", 0)), name="order_price_positive"),
        ),
        migrations.AddConstraint(
            model_name="order",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("closed_at__isnull", True), ("status", exchange.matching.lifecycle.OrderStatus["OPEN"])),
                    models.Q(
                        models.Q(("status", exchange.matching.lifecycle.OrderStatus["OPEN"]), _negated=True),
                        ("closed_at__isnull", False),
                    ),
                    _connector="OR",
                ),
                name="order_closed_at_set_when_terminal",
            ),
        ),
        migrations.AddField(
            model_name="product",
            name="currency",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="ledger.asset"),
        ),
        migrations.AddField(
            model_name="offer",
            name="product",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="exchange.product"),
        ),
        migrations.AddField(
            model_name="contract",
            name="product",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="contracts", to="exchange.product"
            ),
        ),
        migrations.AddField(
            model_name="capacityallocation",
            name="product",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="exchange.product"),
        ),
        migrations.AddField(
            model_name="productterms",
            name="product",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="versions", to="exchange.product"
            ),
        ),
        migrations.AddField(
            model_name="contract",
            name="terms",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="exchange.productterms"),
        ),
        migrations.AddField(
            model_name="qualification",
            name="product",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="qualifications", to="exchange.product"
            ),
        ),
        migrations.AddField(
            model_name="qualification",
            name="provider",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="qualifications", to="ledger.party"
            ),
        ),
        migrations.AddField(
            model_name="site",
            name="provider",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="sites", to="ledger.party"
            ),
        ),
        migrations.AddField(
            model_name="capacitydeclaration",
            name="site",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="declarations", to="exchange.site"
            ),
        ),
        migrations.AddConstraint(
            model_name="offer",
            constraint=models.CheckConstraint(
                condition=models.Q(("first_delivery__lte", models.F("last_delivery"))), name="offer_range_in_order"
            ),
        ),
        migrations.AddConstraint(
            model_name="offer",
            constraint=models.CheckConstraint(
                condition=models.Q(("lots__gt", 0), ("price_ticks__gt", 0)), name="offer_amounts_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="offer",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["open", "withdrawn"])), name="offer_state_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="capacityallocation",
            constraint=models.UniqueConstraint(
                fields=("declaration", "product", "window_seconds"), name="allocation_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="capacityallocation",
            constraint=models.CheckConstraint(
                condition=models.Q(("ppm__gt", 0), ("ppm__lte", 1000000)), name="allocation_ppm_in_range"
            ),
        ),
        migrations.AddConstraint(
            model_name="productterms",
            constraint=models.UniqueConstraint(fields=("product", "version"), name="product_terms_version"),
        ),
        migrations.AddConstraint(
            model_name="contract",
            constraint=models.UniqueConstraint(
                fields=("product", "delivery_start", "delivery_end"), name="contract_window_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="contract",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("gate_open__lt", models.F("gate_close")),
                    ("gate_close__lte", models.F("delivery_start")),
                    ("delivery_start__lt", models.F("delivery_end")),
                ),
                name="contract_gates_in_order",
            ),
        ),
        migrations.AddConstraint(
            model_name="contract",
            constraint=models.CheckConstraint(
                condition=models.Q(("listed_at__lt", models.F("gate_close"))), name="contract_listed_before_gate_close"
            ),
        ),
        migrations.AddConstraint(
            model_name="contract",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("band_low_ticks__gt", 0),
                    ("listing_price_ticks__gte", models.F("band_low_ticks")),
                    ("listing_price_ticks__lte", models.F("band_high_ticks")),
                ),
                name="contract_price_in_band",
            ),
        ),
        migrations.AddConstraint(
            model_name="contract",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "state__in",
                        ["listed", "trading", "halted", "closed", "delivering", "delivered", "settled", "cancelled"],
                    )
                ),
                name="contract_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="qualification",
            constraint=models.CheckConstraint(
                condition=models.Q(("valid_from__lt", models.F("valid_until"))), name="qualification_period_in_order"
            ),
        ),
        migrations.AddConstraint(
            model_name="site",
            constraint=models.UniqueConstraint(fields=("provider", "name"), name="site_name_once"),
        ),
        migrations.AddConstraint(
            model_name="capacitydeclaration",
            constraint=models.CheckConstraint(
                condition=models.Q(("tokens_per_s__gte", 0)), name="declaration_tokens_not_negative"
            ),
        ),
    ]
