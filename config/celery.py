"""The Celery application. A task carries an id only; a lost or doubled message costs time, never money."""

from __future__ import annotations

import os
import warnings

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from kombu.transport.sqlalchemy import Transport as EmbeddedTransport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("tokenbourse")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# `make run` as root on a fresh machine would greet with a page of warning, and a lost connection say several times that
# running tasks are not cancelled: they need not be, what they write is held by their leases.
for category in (SecurityWarning, CPendingDeprecationWarning):
    warnings.filterwarnings("ignore", category=category)

# The embedded broker is asked for messages this often, and hands out no more than the workers have room for each time:
# at its default of one second a settlement of eighty jobs takes a minute and a half. It takes no such option itself.
EmbeddedTransport.polling_interval = 0.1
