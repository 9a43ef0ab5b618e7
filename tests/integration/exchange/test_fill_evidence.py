"""The database itself refuses fills that the journal does not bear out."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection

from exchange.clearing import drafts
from exchange.models import Fill, Order
from tests.integration.exchange.market import Market

COLUMNS = [field.attname for field in Fill._meta.concrete_fields]


def copy_fill(**changes: Any) -> None:
    """Insert a fill like the only one there is, but for some columns."""
    (row,) = Fill.objects.values(*COLUMNS)
    row |= {"id": row["id"] + 1, "trade_no": row["trade_no"] + 1} | changes
    names, places = ", ".join(COLUMNS), ", ".join(["%s"] * len(COLUMNS))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO exchange_fill ({names}) VALUES ({places})", [row[name] for name in COLUMNS])


def traded(market: Market) -> None:
    market.offer(2, 400)
    market.buy(market.party("buyer-1"), 1, 400)


@pytest.mark.parametrize("changes", [{}, {"batch_no": 999}, {"notional": 1}, {"tokens": 1}])
def test_a_fill_without_entries_of_its_own_is_refused(market: Market, changes: dict[str, int]) -> None:
    traded(market)
    with pytest.raises(IntegrityError, match="fills and journal differ"):
        copy_fill(**changes)


def test_a_wrong_split_between_two_fills_of_a_batch_is_refused(
    market: Market, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    buyers = [market.party(f"buyer-{i}") for i in range(2)]
    market.offer(2, 400)
    honest = drafts.fill_legs

    def crooked(terms: Any, fill: Any) -> Any:
        cash, *others = honest(terms, fill)
        shift = 1 if fill.buyer_id == buyers[0].id else -1
        return (type(cash)(cash.account, cash.amount + shift, cash.ref), *others)

    monkeypatch.setattr(drafts, "fill_legs", crooked)
    seqs = [market.submit_buy(buyer, 1, 400) for buyer in buyers]
    assert [answer["status"] for answer in market.results(seqs)] == ["failed", "failed"]
    assert "fills and journal differ" in caplog.text
    assert not Fill.objects.exists()
    assert not Order.objects.filter(id__in=seqs).exists()
