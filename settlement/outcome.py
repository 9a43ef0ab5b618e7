"""What a position comes to, and the change between two runs of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields

from msgspec import Struct

from settlement.splits import Share, ShareAmount


class Payout(Struct, frozen=True, gc=False):
    """Gross money for a provider, the fee off it, and the shares of what is left."""

    gross_micros: int
    fee_micros: int
    shares: tuple[ShareAmount, ...]

    @property
    def net_micros(self) -> int:
        return self.gross_micros - self.fee_micros

    def minus(self, old: Payout) -> Payout:
        amounts: dict[Share, int] = {share.share: share.micros for share in self.shares}
        for share in old.shares:
            amounts[share.share] = amounts.get(share.share, 0) - share.micros
        return Payout(
            gross_micros=self.gross_micros - old.gross_micros,
            fee_micros=self.fee_micros - old.fee_micros,
            shares=tuple(ShareAmount(share, micros) for share, micros in amounts.items()),
        )


NO_PAYOUT = Payout(0, 0, ())


@dataclass(frozen=True, slots=True)
class PositionOutcome:
    """The figures of a position, or of the change between two runs (then any of them may be negative).

    delivered + unused + short = Q; delivered + take-or-pay = pay.gross + sla; pay.gross + sla + both refunds +
    suspended = N. `credit_tokens` may be made up in later windows; `made_up_tokens` of this one were, by their source
    in `made_up_from`. `missed` names the measures of the service class that were missed, in a change those of the
    later run.
    """

    delivered_tokens: int
    unused_tokens: int
    short_tokens: int
    overage_tokens: int
    excess_tokens: int
    delivered_micros: int  # before what missed service takes off
    take_or_pay_micros: int
    refund_unused_micros: int
    refund_short_micros: int
    damages_micros: int
    overage_fee_micros: int  # the buyer's
    pay: Payout  # out of escrow: delivered and take-or-pay, less what missed service takes off
    overage: Payout  # out of the buyer's cash
    sla_micros: int = 0  # out of escrow, back to the buyer
    suspended_micros: int = 0  # out of escrow, kept until the final run
    made_up_tokens: int = 0
    made_up: Payout = NO_PAYOUT  # out of the buyer's cash
    made_up_fee_micros: int = 0  # the buyer's
    credit_tokens: int = 0
    made_up_from: tuple[tuple[str, int], ...] = ()
    missed: tuple[str, ...] = ()

    @property
    def used_tokens(self) -> int:
        return self.delivered_tokens + self.made_up_tokens + self.overage_tokens + self.excess_tokens

    @property
    def paid_micros(self) -> int:
        return self.pay.gross_micros

    @property
    def refund_micros(self) -> int:
        return self.refund_unused_micros + self.refund_short_micros

    @property
    def held_charge_micros(self) -> int:
        """What came out of the buyer's overage hold."""
        return self.overage.gross_micros + self.overage_fee_micros + self.made_up.gross_micros + self.made_up_fee_micros


PAYOUTS = ("pay", "overage", "made_up")
FIGURES = tuple(
    field.name for field in fields(PositionOutcome) if field.name not in {*PAYOUTS, "made_up_from", "missed"}
)


def difference(new: PositionOutcome, old: PositionOutcome) -> PositionOutcome:
    """What a later run has to post after an earlier one: new - old, figure by figure."""
    figures = {name: getattr(new, name) - getattr(old, name) for name in FIGURES}
    payouts = {name: getattr(new, name).minus(getattr(old, name)) for name in PAYOUTS}
    taken = dict(new.made_up_from)
    for source, tokens in old.made_up_from:
        taken[source] = taken.get(source, 0) - tokens
    made_up_from = tuple((source, tokens) for source, tokens in taken.items() if tokens)
    return PositionOutcome(**figures, **payouts, made_up_from=made_up_from, missed=new.missed)
