"""The exchange's tables in the admin, and the forms behind which its commands run. Imported by Django at start-up."""

from exchange.admin import market, offers, providers, trading

__all__ = ["market", "offers", "providers", "trading"]
