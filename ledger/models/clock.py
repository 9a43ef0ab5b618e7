"""The simulated clock's row. Only the demo driver advances it; with the system clock it stays empty."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q


class SimulatedClock(models.Model):
    """One row: what time it is in a simulation."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    now = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(name="simulated_clock_single_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return self.now.isoformat()
