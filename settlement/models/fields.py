"""Columns that Django has no field for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class WideSumField(models.BigIntegerField):  # type: ignore[type-arg]  # the stubs' parameters do not exist at run time
    """An integer of up to 38 digits: a sum of figures each of which may come near the end of a bigint."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "numeric(38, 0)"

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        # Not as bigint, which the backend would make of it.
        return value if prepared else self.get_prep_value(value)

    def from_db_value(self, value: Decimal | None, *_: object) -> int | None:
        return None if value is None else int(value)
