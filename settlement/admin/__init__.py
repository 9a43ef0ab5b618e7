"""What settlement keeps in the admin: meters, runs, statements, disputes, payments. Imported by Django at start-up."""

from settlement.admin import calendars, cases, disputes, meters, opinions, payment_returns, payments, records

__all__ = ["calendars", "cases", "disputes", "meters", "opinions", "payment_returns", "payments", "records"]
