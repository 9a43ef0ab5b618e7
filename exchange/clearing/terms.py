"""The figures of one contract, fixed when it is listed, and the limits that keep every sum within 64 bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from exchange.errors import InvalidTerms
from exchange.matching.types import ContractId
from ledger.chart import AccountKey, Role

TOKENS_PER_PRICE = 1_000_000  # prices are per million contract tokens
PPM = 1_000_000
PERMILLE = 1_000

LOT_SIZES = (10_000, 100_000, 1_000_000)
MAX_BATCH_COMMANDS = 1_024
MAX_ORDER_LOTS = 1_000_000
MAX_LOT_MICROS = 1_000_000_000  # one lot at the band's upper price
MAX_FEE_PPM = 100_000
MAX_OVERAGE_PERMILLE = 1_000
MAX_DAMAGES_CAP_PERMILLE = 2_000
MAX_BOND_PER_LOT_MICROS = MAX_LOT_MICROS * MAX_DAMAGES_CAP_PERMILLE // PERMILLE


class _Accounts(dict[int, AccountKey]):
    """The accounts of one asset and role by party, each made once: clearing an order asks for one several times."""

    def __init__(self, asset_id: int, role: Role) -> None:
        self._asset_id = asset_id
        self._role = role

    def __missing__(self, party_id: int) -> AccountKey:
        key = self[party_id] = AccountKey(party_id, self._asset_id, self._role)
        return key


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """What clearing needs to know of a contract. Raises `InvalidTerms` when the figures do not fit together.

    `asset_id` is the contract token, `tick_micros` the value of one tick in micros per million contract tokens,
    `lot_tick_micros` (derived) that of one lot at one tick, `bond_per_lot_micros` what a provider pledges for each lot.
    Fees are parts per million (1 basis point = 100), and the highest that an order of this contract may carry.
    `cash`, `entitlement` (of a buyer) and `obligation` (of a provider) give a party's accounts, by its id.
    """

    contract_id: ContractId
    asset_id: int
    currency_asset_id: int
    symbol: str
    lot_tokens: int
    tick_micros: int
    band_low_ticks: int
    band_high_ticks: int
    bond_per_lot_micros: int
    buyer_fee_ppm: int
    provider_fee_ppm: int
    lot_tick_micros: int = field(init=False)
    cash: Callable[[int], AccountKey] = field(init=False, compare=False, repr=False)
    entitlement: Callable[[int], AccountKey] = field(init=False, compare=False, repr=False)
    obligation: Callable[[int], AccountKey] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        per_tick = lot_tick_micros(self.lot_tokens, self.tick_micros)
        object.__setattr__(self, "lot_tick_micros", per_tick)
        object.__setattr__(self, "cash", _Accounts(self.currency_asset_id, Role.CASH).__getitem__)
        object.__setattr__(self, "entitlement", _Accounts(self.asset_id, Role.ENTITLEMENT).__getitem__)
        object.__setattr__(self, "obligation", _Accounts(self.asset_id, Role.OBLIGATION).__getitem__)
        check_band(per_tick, self.band_low_ticks, self.band_high_ticks)
        _require_within("bond_per_lot_micros", self.bond_per_lot_micros, 0, MAX_BOND_PER_LOT_MICROS)
        _require_within("buyer_fee_ppm", self.buyer_fee_ppm, 0, MAX_FEE_PPM)
        _require_within("provider_fee_ppm", self.provider_fee_ppm, 0, MAX_FEE_PPM)

    def escrow(self, house_id: int) -> AccountKey:
        return AccountKey(house_id, self.currency_asset_id, Role.ESCROW, self.symbol)

    def fees(self, house_id: int) -> AccountKey:
        return AccountKey(house_id, self.currency_asset_id, Role.FEES)


def lot_tick_micros(lot_tokens: int, tick_micros: int) -> int:
    """The value of one lot at one tick, which must be a whole number of micros."""
    if lot_tokens not in LOT_SIZES:
        sizes = ", ".join(map(str, LOT_SIZES))
        raise InvalidTerms(f"A lot is one of {sizes} contract tokens.", field="lot_tokens", value=lot_tokens)
    _require_within("tick_micros", tick_micros, 1, MAX_LOT_MICROS)
    micros, rest = divmod(tick_micros * lot_tokens, TOKENS_PER_PRICE)
    if rest:
        raise InvalidTerms(
            "One lot at one tick must be a whole number of micros.",
            field="tick_micros",
            value=tick_micros,
            lot_tokens=lot_tokens,
        )
    return micros


def check_band(per_tick_micros: int, low_ticks: int, high_ticks: int) -> None:
    """A price band has 1 <= low <= high, and a lot at its upper price is at most `MAX_LOT_MICROS`."""
    _require_within("band_high_ticks", high_ticks, 1, MAX_LOT_MICROS // per_tick_micros)
    _require_within("band_low_ticks", low_ticks, 1, high_ticks)


def _require_within(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidTerms(f"{field} must be from {low} to {high}.", field=field, value=value, low=low, high=high)
