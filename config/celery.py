"""The Celery application. A task carries an id only; a lost or doubled message costs time, never money."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("tokenbourse")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
