from __future__ import annotations

from django.apps import AppConfig


class ExchangeConfig(AppConfig):
    name = "exchange"
    verbose_name = "Exchange"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from exchange import (  # models load after apps
            account_uses,
            audit,
            decision_audit,
            fee_audit,
            line_audit,
            reversal_audit,
        )

        audit.register()
        fee_audit.register()
        reversal_audit.register()
        decision_audit.register()
        line_audit.register()
        account_uses.register()
