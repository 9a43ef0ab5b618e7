"""SQL that Django cannot express: triggers, functions and grants, each file beside its reverse."""

from __future__ import annotations

from pathlib import Path

from django.db.migrations import RunSQL

SQL_FOLDER = Path(__file__).parent


def run_sql_file(folder: Path, name: str) -> RunSQL:
    """A migration step from `<name>.sql` and `<name>.reverse.sql` in `folder`."""
    forward = (folder / f"{name}.sql").read_text(encoding="utf-8")
    reverse = (folder / f"{name}.reverse.sql").read_text(encoding="utf-8")
    return RunSQL([(forward, None)], [(reverse, None)])
