"""SQL that Django cannot express, each file beside its reverse."""

from __future__ import annotations

from pathlib import Path

SQL_FOLDER = Path(__file__).parent
