"""Reading the exchange: frozen values, no locks, no rows."""
