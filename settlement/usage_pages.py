"""Both meters of a contract side by side: by minute, by kind of token, and how complete they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from exchange.charts import BarPlace, Chart, bar_chart
from exchange.models import Contract
from ledger.clock import get_clock
from ledger.templatetags.amounts import MINUS, count, thousandths, words
from ledger.web import access_of, belongs_to_a_party, only_for, render_page
from settlement.metering.reconcile import Side
from settlement.metering.rollups import FIGURES, rolled_up_until
from settlement.models import UsageMinute
from settlement.selectors.usage_minutes import PairTotals, list_completeness, list_usage_minutes, total_pairs

CONTRACTS_OFFERED = 50
BARS_MAX = 60
MINUTE = timedelta(minutes=1)
SIDES = (Side.PROVIDER, Side.BUYER)  # of the chart
WEIGHED = {"millitokens": "Contract tokens", "refused_millitokens": "Refused contract tokens"}
STYLES = ("candle risen", "candle fallen")


@dataclass(frozen=True, slots=True)
class PairRows:
    """A pair with a row for each figure: its name, and what each side in `sides` told."""

    buyer: str
    provider: str
    sides: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str], str]]  # the last is provider less buyer, if both told


@require_safe
@only_for(belongs_to_a_party)
def usage(request: HttpRequest) -> HttpResponse:
    """What meters told of a contract: `?contract=`, or the latest that there is anything of."""
    now = get_clock().now()
    access = access_of(request)
    own = None if access.reads_everything else access.party_ids
    minutes = list_usage_minutes(own, now=now)
    told = Contract.objects.filter(id__in=minutes.values("contract_id")).order_by("-delivery_start", "symbol")
    symbol = request.GET.get("contract", "").strip()
    contract = _chosen(symbol, told)
    context: dict[str, Any] = {
        "section": "usage",
        "tab": "minutes",
        "symbol": contract.symbol if contract else symbol,
        "contract": contract,
        "contracts": told[:CONTRACTS_OFFERED],
    }
    if contract is not None:
        context |= _told_of(contract, own, minutes.filter(contract_id=contract.id), now)
    return render_page(request, "settlement/usage.html", context)


def _chosen(symbol: str, told: QuerySet[Contract]) -> Contract | None:
    if not symbol:
        return told.first()
    return None if "\0" in symbol else Contract.objects.filter(symbol=symbol).first()


def _told_of(
    contract: Contract, own: Collection[int] | None, minutes: QuerySet[UsageMinute], now: datetime
) -> dict[str, Any]:
    return {
        "rolled_up_until": rolled_up_until(now),
        "chart": _chart(contract, minutes),
        "pairs": _pairs(total_pairs(minutes)),
        "meters": list_completeness(contract, own, now=now),
        "delivered": contract.delivery_end <= now,
    }


def _pairs(totals: Iterable[PairTotals]) -> list[PairRows]:
    by_pair: dict[tuple[str, str], dict[Side, PairTotals]] = {}
    for each in totals:
        by_pair.setdefault((each.buyer, each.provider), {})[each.side] = each
    return [
        PairRows(buyer, provider, [side.value for side in sides], [_figure(name, sides) for name in FIGURES])
        for (buyer, provider), sides in by_pair.items()
    ]


def _figure(name: str, sides: dict[Side, PairTotals]) -> tuple[str, list[str], str]:
    title, text = WEIGHED.get(name, words(name)), thousandths if name in WEIGHED else count
    told = {side: totals.figures[name] for side, totals in sides.items()}
    apart = ""
    if Side.PROVIDER in told and Side.BUYER in told:
        difference = told[Side.PROVIDER] - told[Side.BUYER]
        apart = ("+" if difference > 0 else MINUS if difference < 0 else "") + text(abs(difference))
    return title, [text(figure) for figure in told.values()], apart


def _chart(contract: Contract, minutes: QuerySet[UsageMinute]) -> Chart | None:
    """Contract tokens by time, at most `BARS_MAX` places of the same length each."""
    length = -(-(contract.delivery_end - contract.delivery_start) // MINUTE)
    each = -(-length // BARS_MAX)
    places = -(-length // each)
    sums = {side: [0] * places for side in SIDES}
    rows = minutes.filter(side__in=SIDES, minute__gte=contract.delivery_start, minute__lt=contract.delivery_end)
    told = rows.values("minute", "side").annotate(all_millitokens=Sum("millitokens"))
    for minute, side, millitokens in told.values_list("minute", "side", "all_millitokens"):
        sums[Side(side)][(minute - contract.delivery_start) // MINUTE // each] += int(millitokens)
    totals = [sum(sums[side]) // 1_000 for side in SIDES]
    return bar_chart(
        [
            BarPlace(
                _name(contract.delivery_start + at * each * MINUTE), tuple(sums[side][at] // 1_000 for side in SIDES)
            )
            for at in range(places)
        ],
        STYLES,
        _short,
        f"Contract tokens by time: providers' meters {count(totals[0])}, buyers' {count(totals[1])} in all.",
    )


def _short(number: int) -> str:
    """A round number for an axis: 500, 20k, 2M."""
    for unit, power in (("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)):
        if number and number % power == 0:
            return f"{number // power:,}{unit}"
    return count(number)


def _name(at: datetime) -> str:
    return f"{at.astimezone(UTC):%H:%M}"
