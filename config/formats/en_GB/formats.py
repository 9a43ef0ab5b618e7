"""Dates and times as people read them here: unambiguous, and times always with their zone."""

from __future__ import annotations

DATE_FORMAT = "Y-m-d"
TIME_FORMAT = r"H:i \U\T\C"
DATETIME_FORMAT = r"Y-m-d H:i \U\T\C"
SHORT_DATE_FORMAT = DATE_FORMAT
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
