"""Django settings. Everything that differs between machines comes from the environment, read once and typed."""

from __future__ import annotations

from datetime import timedelta

from celery.schedules import crontab
from django.templatetags.static import static

from config.environment import CHECKOUT, database_settings, read_environment
from config.postgres import connected_to_embedded

ENVIRONMENT = connected_to_embedded(read_environment())

BASE_DIR = CHECKOUT
DEBUG = ENVIRONMENT.debug
SECRET_KEY = ENVIRONMENT.secret_key
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
CLOCK = {"system": "config.clock.SystemClock", "simulated": "config.clock.SimulatedClock"}[ENVIRONMENT.clock]
KEY_ENCRYPTION_SECRET = ENVIRONMENT.key_encryption_secret or ENVIRONMENT.secret_key
LEDGER_ORIGIN = ENVIRONMENT.ledger_origin
PKCS11_MODULE = ENVIRONMENT.pkcs11_module
PKCS11_TOKEN = ENVIRONMENT.pkcs11_token
PKCS11_PIN = ENVIRONMENT.pkcs11_pin

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "ledger",
    "exchange",
    "settlement",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.content_policy.ContentPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [CHECKOUT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# `default` is the application's role, `owner` the one that migrates. Nothing else ever connects as owner.
DATABASES = {
    "default": database_settings(ENVIRONMENT.database_url) | {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
}
if ENVIRONMENT.database_owner_url:
    DATABASES["owner"] = database_settings(ENVIRONMENT.database_owner_url)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "ledger.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = ENVIRONMENT.production
SECURE_SSL_REDIRECT = ENVIRONMENT.production
SECURE_HSTS_SECONDS = 31_536_000 if ENVIRONMENT.production else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENVIRONMENT.production else None

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["ledger.api.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["ledger.api.parsers.StrictJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "ledger.api.paging.CursorPage",
    "PAGE_SIZE": 100,
    "EXCEPTION_HANDLER": "config.api_errors.problem_response",
    "UNAUTHENTICATED_USER": None,
    "COERCE_DECIMAL_TO_STRING": True,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Tokenbourse",
    "DESCRIPTION": "An exchange and settlement ledger for token capacity.",
    "VERSION": "0.4.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {  # members of the same name in several forms
        "OrderTypeEnum": ["limit", "market"],
        "SideEnum": ["buy", "sell"],
        "BuySideEnum": ["buy"],
        "DisputeReasonEnum": "settlement.models.DisputeReason",
        "RunKindEnum": "settlement.models.RunKind",
        "RunStateEnum": "settlement.models.RunState",
    },
}

# Celery is only the doorbell: tasks carry an id, the database is the record, beat sweeps what is due.
CELERY_BROKER_URL = ENVIRONMENT.broker_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10.0  # a job in hand is finished, or its lease runs out
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_TASK_ANNOTATIONS = {"settlement.run_job": {"time_limit": 110}}  # below the lease, where the pool has limits
if (ENVIRONMENT.broker_url or "").startswith("amqp"):
    CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"  # survives the loss of a node; nothing here has an ETA
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "settlement"
CELERY_BEAT_SCHEDULE = {
    "ledger.publish_checkpoint": {"task": "ledger.publish_checkpoint", "schedule": timedelta(seconds=2)},
    "ledger.seal_periods": {"task": "ledger.seal_periods", "schedule": crontab(hour="0", minute="5")},
    "ledger.audit": {"task": "ledger.audit", "schedule": crontab(hour="2", minute="30")},
    "exchange.sweep_contract_life": {"task": "exchange.sweep_contract_life", "schedule": timedelta(seconds=5)},
    "exchange.list_due_windows": {"task": "exchange.list_due_windows", "schedule": timedelta(seconds=30)},
    "exchange.roll_up_candles": {"task": "exchange.roll_up_candles", "schedule": timedelta(seconds=2)},
    "exchange.place_due_offer_orders": {"task": "exchange.place_due_offer_orders", "schedule": timedelta(seconds=5)},
    "exchange.count_party_volumes": {"task": "exchange.count_party_volumes", "schedule": crontab(minute="10")},
    "settlement.sweep": {"task": "settlement.sweep", "schedule": timedelta(seconds=15)},
    "settlement.roll_up": {"task": "settlement.roll_up", "schedule": timedelta(seconds=2)},
    "settlement.reconcile": {"task": "settlement.reconcile", "schedule": timedelta(seconds=15)},
    "settlement.make_usage_partitions": {
        "task": "settlement.make_usage_partitions",
        "schedule": timedelta(hours=1),
    },
}

# A settlement period's runs begin when its last contract has been delivered and the meters have had time to report.
SETTLEMENT_PERIOD_SECONDS = 60 * ENVIRONMENT.settlement_minutes
SETTLEMENT_INITIAL_LAG_SECONDS = 120
SETTLEMENT_FINAL_LAG_SECONDS = 7_200
SETTLEMENT_INDICATIVE_LAG_SECONDS: int | None = None  # no such run
SETTLEMENT_TRUE_UP_LAG_SECONDS: int | None = None
SETTLEMENT_DISPUTE_SECONDS = 3_600  # after a run was due
STATEMENT_CONTACT = ENVIRONMENT.statement_contact
TIME_STAMP_URL = ENVIRONMENT.time_stamp_url
TIME_STAMP_ROOTS = ENVIRONMENT.time_stamp_roots
SETTLEMENT_DISPUTE_MINIMUM_MICROS = 10_000  # nobody is asked to decide about less

UNFOLD = {
    "SITE_TITLE": "Tokenbourse",
    "SITE_HEADER": "Tokenbourse",
    "SITE_SYMBOL": "candlestick_chart",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _: static("tokenbourse/mark.svg")}],
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_HISTORY": False,  # the action log is the history
    "STYLES": [lambda _: static("tokenbourse/admin.css")],
    "SCRIPTS": [lambda _: static("tokenbourse/admin.js")],
    "SIDEBAR": {"navigation": "config.workspace.navigation"},
    "DASHBOARD_CALLBACK": "config.workspace.start_page",
    "COLORS": {  # teal, one step darker than usual so that white on 600 is easy to read
        "primary": {
            "50": "oklch(98.4% .014 180.7)",
            "100": "oklch(95.3% .051 180.8)",
            "200": "oklch(91% .096 180.4)",
            "300": "oklch(85.5% .138 181.1)",
            "400": "oklch(77.7% .152 181.9)",
            "500": "oklch(65% .13 183.5)",
            "600": "oklch(51.1% .096 186.4)",
            "700": "oklch(43.7% .078 188.2)",
            "800": "oklch(38.6% .063 188.4)",
            "900": "oklch(33% .055 190)",
            "950": "oklch(27.7% .046 192.5)",
        },
    },
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"django.request": {"level": "ERROR"}},  # a refused request is an answer, not an event
}
