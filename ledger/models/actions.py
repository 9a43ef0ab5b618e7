"""The append-only log of what people did."""

from __future__ import annotations

from django.db import models


class ActionLog(models.Model):
    """Who did what to which subject, why and when. Visible to the auditor; never edited."""

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=80)
    action = models.CharField(max_length=64)
    subject = models.CharField(max_length=160)
    reason = models.TextField(default="", blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        verbose_name = "action"
        verbose_name_plural = "action log"

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.subject}"
