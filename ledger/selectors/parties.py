"""Reading parties and assets."""

from __future__ import annotations

from ledger.chart import AssetKind
from ledger.errors import NotFound
from ledger.models import Asset, Party, PartyKind


def get_house_id() -> int:
    """The party that runs the market. There is exactly one."""
    return Party.objects.values_list("id", flat=True).get(kind=PartyKind.HOUSE)


def has_house() -> bool:
    """Whether anybody runs the market yet."""
    return Party.objects.filter(kind=PartyKind.HOUSE).exists()


def get_currency(code: str) -> Asset:
    """A currency by its code, such as CNY. Raises `NotFound`."""
    currency = Asset.objects.filter(code=code, kind=AssetKind.CURRENCY).first()
    if currency is None:
        raise NotFound(f"There is no currency {code!r}.", currency=code)
    return currency


def get_party(code: str) -> Party:
    """A party by its public code. Raises `NotFound`."""
    party = Party.objects.filter(code=code).first()
    if party is None:
        raise NotFound(f"There is no party {code!r}.", party=code)
    return party
