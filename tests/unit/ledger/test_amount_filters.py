from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.http import QueryDict
from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import format_micros
from ledger.templatetags import amounts


@given(micros=st.integers(-(2**63) + 1, 2**63 - 1))
def test_money_keeps_every_digit(micros: int) -> None:
    html = amounts.money(micros)
    text = str(html)
    for tag in ('<span class="amount">', "</span>", "<small>", "</small>", ","):
        text = text.replace(tag, "")
    assert text.replace(amounts.MINUS, "-") == format_micros(micros)


@pytest.mark.parametrize(
    ("micros", "html"),
    [
        (1_234_567_500_000, '<span class="amount">1,234,567.50<small>0000</small></span>'),
        (-1, f'<span class="amount">{amounts.MINUS}0.000001<small></small></span>'),
        (0, '<span class="amount">0.00<small>0000</small></span>'),
        (868_000, '<span class="amount">0.868<small>000</small></span>'),
    ],
)
def test_only_zeros_that_say_nothing_are_paler(micros: int, html: str) -> None:
    assert amounts.money(micros) == html


def test_counts_and_parts() -> None:
    assert [amounts.count(number) for number in (0, 1234567, -1234, "128089.500", None, "")] == [
        "0",
        "1,234,567",
        f"{amounts.MINUS}1,234",
        "128,089.500",
        "",
        "",
    ]
    assert [amounts.percent(ppm) for ppm in (700_000, 125_000, 1, 0)] == ["70 %", "12.5 %", "0.0001 %", "0 %"]
    assert [amounts.thousandths(number) for number in (4_000, 1_500, 169)] == ["4", "1.5", "0.169"]
    assert amounts.permille(600) == "60 %"
    assert amounts.words("input_cache_read") == "Input cache read"


def test_times_are_utc_and_say_so() -> None:
    moment = datetime(2026, 12, 1, 22, 0, 7, tzinfo=timezone(timedelta(hours=8)))
    assert amounts.utc(moment) == '<time datetime="2026-12-01T14:00:07Z">2026-12-01 14:00 UTC</time>'
    assert "14:00:07 UTC" in amounts.utc_seconds(moment)
    assert amounts.utc(None) == ""
    start = datetime(2026, 12, 1, 23, tzinfo=UTC)
    assert "2026-12-01 23:00–23:30 UTC" in amounts.period(start, start + timedelta(minutes=30))
    assert "2026-12-01 23:00–2026-12-02 01:00 UTC" in amounts.period(start, start + timedelta(hours=2))


def test_digests_and_queries() -> None:
    digest = bytes(range(32))
    assert "000102030405…" in amounts.short_hex(digest)
    assert digest.hex() in amounts.short_hex(memoryview(digest))
    assert amounts.short_hex(None) == amounts.whole_hex(None) == ""
    assert amounts.without_before(QueryDict("kind=deposit&before=12")) == "kind=deposit"


def test_what_comes_from_outside_is_escaped() -> None:
    page = Template("{% load amounts %}{{ text|decimal }}{{ digest|short_hex }}").render(
        Context({"text": "1.000000", "digest": "<script>alert(1)</script>"})
    )
    assert "<script>" not in page
