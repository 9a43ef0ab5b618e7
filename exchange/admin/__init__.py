"""The exchange's tables in the admin, and the forms behind which its commands run. Imported by Django at start-up."""

from exchange.admin import calendar, decisions, fees, line, market, offers, providers, trading

__all__ = ["calendar", "decisions", "fees", "line", "market", "offers", "providers", "trading"]
