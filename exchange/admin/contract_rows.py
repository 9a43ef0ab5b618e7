"""Tables of the admin whose rows name their contract by number."""

from __future__ import annotations

from typing import Any

from django.db.models import OuterRef, Subquery
from django.db.models.fields.json import KT
from django.http import HttpRequest

from exchange.models import Contract, ProductTerms
from exchange.wording import price_writer
from ledger.admin.base import InfinitePaginator, RecordAdmin, column


class ContractRows(RecordAdmin):
    """Each row brings its contract's symbol and tick along."""

    paginator = InfinitePaginator
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        contract = Contract.objects.filter(id=OuterRef("contract_id"))
        terms = ProductTerms.objects.filter(contract=OuterRef("contract_id"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                symbol=Subquery(contract.values("symbol")[:1]),
                contract_state=Subquery(contract.values("state")[:1]),
                tick=Subquery(terms.annotate(tick=KT("terms__tick_micros")).values("tick")[:1]),
            )
        )

    @column("Contract", ordering="contract_id")
    def contract(self, row: Any) -> str:
        return str(row.symbol or "")  # some commands are about a party, whatever the contract

    @column("Price", ordering="price_ticks")
    def price(self, row: Any) -> str:
        return price_writer(int(row.tick))(row.price_ticks)
