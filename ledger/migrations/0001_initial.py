import django.contrib.auth.models
import django.contrib.auth.validators
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from ledger.sql import SQL_FOLDER, run_sql_file


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        run_sql_file(SQL_FOLDER, "0001_application_role"),
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("cash", "cash"),
                            ("escrow", "escrow"),
                            ("fees", "fees"),
                            ("suspense", "suspense"),
                            ("held_share", "held_share"),
                            ("default_fund", "default_fund"),
                            ("debt", "debt"),
                            ("claim", "claim"),
                            ("external", "external"),
                            ("entitlement", "entitlement"),
                            ("obligation", "obligation"),
                        ],
                        max_length=16,
                    ),
                ),
                ("qualifier", models.CharField(blank=True, default="", max_length=80)),
                ("balance", models.BigIntegerField(default=0)),
                ("held", models.BigIntegerField(default=0)),
                ("seq", models.BigIntegerField(default=0)),
                ("floor", models.BigIntegerField(null=True)),
                ("frozen", models.BooleanField(default=False)),
                ("closed", models.BooleanField(default=False)),
            ],
        ),
        migrations.CreateModel(
            name="ActionLog",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_index=True)),
                ("actor", models.CharField(max_length=80)),
                ("action", models.CharField(max_length=64)),
                ("subject", models.CharField(max_length=160)),
                ("reason", models.TextField(blank=True, default="")),
                ("details", models.JSONField(default=dict)),
            ],
            options={
                "verbose_name": "action",
                "verbose_name_plural": "action log",
            },
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined")),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
                "abstract": False,
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name="AccountChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("what", models.CharField(max_length=16)),
                ("before", models.CharField(max_length=40)),
                ("after", models.CharField(max_length=40)),
                ("actor", models.CharField(max_length=80)),
                ("reason", models.TextField()),
                ("at", models.DateTimeField()),
                ("head_version", models.BigIntegerField()),
                ("account", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="ledger.account")),
            ],
        ),
        migrations.CreateModel(
            name="Asset",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=80, unique=True)),
                ("kind", models.CharField(choices=[("currency", "currency"), ("contract", "contract")], max_length=16)),
                ("scale", models.SmallIntegerField()),
                ("terms_hash", models.BinaryField(max_length=32, null=True)),
                ("expires_at", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("scale__gte", 0), ("scale__lte", 18)), name="asset_scale_in_range"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["currency", "contract"])), name="asset_kind_known"
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="account",
            name="asset",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.asset"),
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                ("no", models.BigIntegerField(primary_key=True, serialize=False)),
                ("first_transaction", models.BigIntegerField()),
                ("last_transaction", models.BigIntegerField()),
                ("count", models.IntegerField()),
                ("root", models.BinaryField(max_length=32)),
                ("previous", models.BinaryField(max_length=32, unique=True)),
                ("hash", models.BinaryField(max_length=32, unique=True)),
                ("actor", models.CharField(max_length=80)),
                ("posted_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "batches",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "count",
                                django.db.models.expressions.CombinedExpression(
                                    django.db.models.expressions.CombinedExpression(
                                        models.F("last_transaction"), "-", models.F("first_transaction")
                                    ),
                                    "+",
                                    models.Value(1),
                                ),
                            )
                        ),
                        name="batch_count_matches_range",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Entry",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id", "account_seq", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("account_id", models.BigIntegerField()),
                ("account_seq", models.BigIntegerField()),
                ("transaction_id", models.BigIntegerField(db_index=True)),
                ("leg", models.IntegerField()),
                ("asset_id", models.BigIntegerField()),
                ("amount", models.BigIntegerField()),
                ("balance_after", models.BigIntegerField()),
                ("ref", models.CharField(default="", max_length=120)),
            ],
            options={
                "verbose_name_plural": "entries",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("amount", 0), _negated=True), name="entry_amount_not_zero"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LedgerHead",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("version", models.BigIntegerField(default=0)),
                ("last_transaction", models.BigIntegerField(default=0)),
                ("last_batch", models.BigIntegerField(default=0)),
                ("last_batch_hash", models.BinaryField(max_length=32)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="ledger_head_single_row")],
            },
        ),
        migrations.CreateModel(
            name="Party",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.SlugField(max_length=40, unique=True)),
                ("name", models.CharField(max_length=120)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("provider", "Provider"),
                            ("buyer", "Buyer"),
                            ("beneficiary", "Beneficiary"),
                            ("house", "House"),
                            ("auditor", "Auditor"),
                        ],
                        max_length=16,
                    ),
                ),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "parties",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["provider", "buyer", "beneficiary", "house", "auditor"])),
                        name="party_kind_known",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "house")), fields=("kind",), name="party_one_house"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("label", models.CharField(max_length=80)),
                ("prefix", models.CharField(max_length=16, unique=True)),
                ("secret_hash", models.BinaryField(max_length=32)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=16), size=None),
                ),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=80)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "party",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="api_keys", to="ledger.party"
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
                "verbose_name_plural": "API keys",
            },
        ),
        migrations.AddField(
            model_name="account",
            name="party",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.party"),
        ),
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                ("kid", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("public_jwk", models.JSONField()),
                ("private_key_encrypted", models.BinaryField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("next", "Next"),
                            ("current", "Current"),
                            ("retired", "Retired"),
                            ("revoked", "Revoked"),
                        ],
                        max_length=8,
                    ),
                ),
                ("valid_from", models.DateTimeField()),
                ("valid_until", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "current")), fields=("state",), name="signing_key_one_current"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["next", "current", "retired", "revoked"])),
                        name="signing_key_state_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SimulatedClock",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("now", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="simulated_clock_single_row")
                ],
            },
        ),
        migrations.CreateModel(
            name="Transaction",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("batch_no", models.BigIntegerField()),
                ("kind", models.CharField(max_length=32)),
                ("source", models.CharField(max_length=32)),
                ("reference", models.CharField(max_length=200)),
                ("request_hash", models.BinaryField(max_length=32)),
                ("actor", models.CharField(max_length=80)),
                ("effective_at", models.DateTimeField()),
                ("posted_at", models.DateTimeField()),
                ("legs", models.IntegerField()),
                ("reverses", models.BigIntegerField(null=True, unique=True)),
                ("leaf", models.BinaryField(max_length=32)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("source", "reference"), name="transaction_reference_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("provider_staff", "Provider Staff"),
                            ("buyer_staff", "Buyer Staff"),
                            ("operator", "Operator"),
                            ("auditor", "Auditor"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "party",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="memberships", to="ledger.party"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("user", "party", "role"), name="membership_once"),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["provider_staff", "buyer_staff", "operator", "auditor"])),
                        name="membership_role_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="IdempotentRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.CharField(max_length=120)),
                ("operation", models.CharField(max_length=64)),
                ("content", models.JSONField()),
                ("answer", models.JSONField()),
                ("at", models.DateTimeField()),
                (
                    "party",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="ledger.party"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("party", "key"), name="idempotent_request_once")],
            },
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.UniqueConstraint(fields=("party", "asset", "role", "qualifier"), name="account_key"),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("floor__isnull", True),
                    (
                        "balance__gte",
                        django.db.models.expressions.CombinedExpression(models.F("floor"), "+", models.F("held")),
                    ),
                    _connector="OR",
                ),
                name="account_available_at_least_floor",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(condition=models.Q(("held__gte", 0)), name="account_held_not_negative"),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("floor__isnull", False), ("role__in", ["debt", "external"]), _connector="OR"),
                name="account_floor_by_role",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(("floor__isnull", True), ("floor__gte", 0), ("role", "obligation"), _connector="OR"),
                name="account_credit_for_obligations_alone",
            ),
        ),
        migrations.AddConstraint(
            model_name="account",
            constraint=models.CheckConstraint(
                condition=models.Q(models.Q(("role", "debt"), _negated=True), ("balance__lte", 0), _connector="OR"),
                name="account_debt_not_positive",
            ),
        ),
    ]
