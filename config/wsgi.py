"""The web process: admin, REST and pages."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

import config.celery  # noqa: F401 - tasks sent from here find their broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = get_wsgi_application()
