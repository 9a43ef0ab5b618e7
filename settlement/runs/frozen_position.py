"""A position, or a pair without one, with all that a run reads of it, and its JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from settlement.disputes.credits import SettledDispute
from settlement.make_up import MakeUp
from settlement.metering.completeness_rules import CompletenessState
from settlement.metering.records import Side
from settlement.metering.rules_of_pair import PairRules
from settlement.splits import Recipient


@dataclass(frozen=True, slots=True)
class FrozenShare:
    """A share of a schedule; `party` only for `Recipient.PARTY`, else empty."""

    beneficiary: str
    weight_ppm: int
    recipient: Recipient
    party: str = ""


@dataclass(frozen=True, slots=True)
class FrozenSchedule:
    """A provider's share schedule as it stood at gate closure; version 0 is the one that gives it all."""

    version: int
    shares: tuple[FrozenShare, ...]


class FrozenUsage(Struct, frozen=True, gc=False):
    """How many events were read of a pair, and the SHA-256, in hex, of their content hashes in order."""

    events: int
    digest: str


@dataclass(frozen=True, slots=True)
class FrozenPosition:
    """A position with all that is read of it. `earlier`: what the last posted run of the contract found, as
    `portable` makes it of `outcome_record`; `ended`: when it ended before its window did, and by what; `settled`: its
    disputes that were settled before, in their order (see `settlement.disputes.credits`).
    """

    buyer: str
    provider: str
    tokens: int
    notional_micros: int
    provider_fee_picos: int
    bond_micros: int
    overage_tokens: int
    overage_hold_micros: int
    ended: tuple[datetime, str] | None
    schedule: FrozenSchedule
    rules: PairRules
    completeness: Mapping[Side, CompletenessState]
    usage: FrozenUsage
    make_up: tuple[MakeUp, ...] = ()
    earlier: Mapping[str, Any] | None = None
    settled: tuple[SettledDispute, ...] = ()


@dataclass(frozen=True, slots=True)
class FrozenUnmatched:
    """A pair with usage and without a position in the contract."""

    buyer: str
    provider: str
    rules: PairRules
    completeness: Mapping[Side, CompletenessState]
    usage: FrozenUsage


def position_json(position: FrozenPosition, told: dict[int, Any]) -> dict[str, Any]:
    """A position as JSON. `told` keeps, by identity, what many positions have in common."""
    schedule, rules, completeness = position.schedule, position.rules, position.completeness
    if id(schedule) not in told:
        told[id(schedule)] = _schedule(schedule)
    if id(rules) not in told:
        told[id(rules)] = rules.as_dict()
    if id(completeness) not in told:
        told[id(completeness)] = _completeness(completeness)
    value: dict[str, Any] = {
        "buyer": position.buyer,
        "provider": position.provider,
        "tokens": str(position.tokens),
        "notional_micros": str(position.notional_micros),
        "provider_fee_picos": str(position.provider_fee_picos),
        "bond_micros": str(position.bond_micros),
        "overage_tokens": str(position.overage_tokens),
        "overage_hold_micros": str(position.overage_hold_micros),
        "schedule": told[id(schedule)],
        "rules": told[id(rules)],
        "completeness": told[id(completeness)],
        "usage": {"events": str(position.usage.events), "digest": position.usage.digest},
    }
    if position.ended is not None:
        value["ended"] = [time_json(position.ended[0]), position.ended[1]]
    if position.make_up:
        value["make_up"] = [_make_up(each) for each in position.make_up]
    if position.earlier is not None:
        value["earlier"] = position.earlier
    if position.settled:
        value["settled"] = [each.to_json() for each in position.settled]
    return value


def read_position(value: Mapping[str, Any]) -> FrozenPosition:
    ended = value.get("ended")
    return FrozenPosition(
        buyer=value["buyer"],
        provider=value["provider"],
        tokens=int(value["tokens"]),
        notional_micros=int(value["notional_micros"]),
        provider_fee_picos=int(value["provider_fee_picos"]),
        bond_micros=int(value["bond_micros"]),
        overage_tokens=int(value["overage_tokens"]),
        overage_hold_micros=int(value["overage_hold_micros"]),
        ended=None if ended is None else (datetime.fromisoformat(ended[0]), ended[1]),
        schedule=FrozenSchedule(
            value["schedule"]["version"],
            tuple(
                FrozenShare(each["beneficiary"], each["ppm"], Recipient(each["recipient"]), each["party"])
                for each in value["schedule"]["shares"]
            ),
        ),
        rules=PairRules.from_dict(value["rules"]),
        completeness=_read_completeness(value["completeness"]),
        usage=FrozenUsage(int(value["usage"]["events"]), value["usage"]["digest"]),
        make_up=tuple(_read_make_up(each) for each in value.get("make_up", ())),
        earlier=value.get("earlier"),
        settled=tuple(SettledDispute.from_json(each) for each in value.get("settled", ())),
    )


def unmatched_json(pair: FrozenUnmatched) -> dict[str, Any]:
    return {
        "buyer": pair.buyer,
        "provider": pair.provider,
        "rules": pair.rules.as_dict(),
        "completeness": _completeness(pair.completeness),
        "usage": {"events": str(pair.usage.events), "digest": pair.usage.digest},
    }


def read_unmatched(value: Mapping[str, Any]) -> FrozenUnmatched:
    return FrozenUnmatched(
        value["buyer"],
        value["provider"],
        PairRules.from_dict(value["rules"]),
        _read_completeness(value["completeness"]),
        FrozenUsage(int(value["usage"]["events"]), value["usage"]["digest"]),
    )


def _schedule(schedule: FrozenSchedule) -> dict[str, Any]:
    return {
        "version": schedule.version,
        "shares": [
            {
                "beneficiary": share.beneficiary,
                "ppm": share.weight_ppm,
                "recipient": share.recipient.value,
                "party": share.party,
            }
            for share in schedule.shares
        ],
    }


def _make_up(make_up: MakeUp) -> dict[str, Any]:
    return {
        "source": make_up.source,
        "tokens": str(make_up.tokens),
        "notional_micros": str(make_up.notional_micros),
        "bought_tokens": str(make_up.bought_tokens),
        "charge_permille": make_up.charge_permille,
    }


def _read_make_up(value: Mapping[str, Any]) -> MakeUp:
    return MakeUp(
        value["source"],
        int(value["tokens"]),
        int(value["notional_micros"]),
        int(value["bought_tokens"]),
        value["charge_permille"],
    )


def _completeness(completeness: Mapping[Side, CompletenessState]) -> dict[str, str]:
    return {side.value: state.value for side, state in completeness.items()}


def _read_completeness(value: Mapping[str, str]) -> dict[Side, CompletenessState]:
    return {Side(side): CompletenessState(state) for side, state in value.items()}


def time_json(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
