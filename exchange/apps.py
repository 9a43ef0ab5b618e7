from __future__ import annotations

from django.apps import AppConfig


class ExchangeConfig(AppConfig):
    name = "exchange"
    verbose_name = "Exchange"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from exchange import audit, fee_audit, reversal_audit  # models load after apps

        audit.register()
        fee_audit.register()
        reversal_audit.register()
