"""Meters, share schedules, settlement runs and statements in the admin. Imported by Django at start-up."""

from settlement.admin import records

__all__ = ["records"]
