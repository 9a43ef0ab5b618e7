from __future__ import annotations

from django.apps import AppConfig


class SettlementConfig(AppConfig):
    name = "settlement"
    verbose_name = "Settlement"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from settlement import account_uses, audit, decision_audit, run_audit  # models load after apps
        from settlement.disputes import account_uses as dispute_uses
        from settlement.disputes import audit as dispute_audit
        from settlement.payments import account_uses as payment_uses
        from settlement.payments import audit as payment_audit
        from settlement.statements import audit as statement_audit
        from settlement.statements import auditor_keys

        audit.register()
        run_audit.register()
        decision_audit.register()
        account_uses.register()
        dispute_audit.register()
        dispute_uses.register()
        payment_audit.register()
        payment_uses.register()
        statement_audit.register()
        auditor_keys.register()
