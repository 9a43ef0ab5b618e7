"""The lines of a position as each party sees them, from the figures a run posted.

Amounts follow the postings of `settlement.postings` one to one: a party's lines under one journal reference sum to
what that transaction changed on its cash account.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from settlement.calculation import PRICE_UNIT, Payout, PositionOutcome, average_price_micros
from settlement.postings import SOURCE, Line, PositionAccounts
from settlement.splits import Recipient
from settlement.statements.document import SplitFigure, StatementLine


@dataclass(frozen=True, slots=True)
class LineContext:
    """What the lines of a position have in common. `tokens` and `notional_micros` are Q and N."""

    accounts: PositionAccounts
    run_key: str
    window_start: datetime
    window_end: datetime
    tokens: int
    notional_micros: int
    reference_price_micros: int
    tax_category: str
    tax_rate_ppm: int

    @property
    def price_micros(self) -> int:
        return average_price_micros(self.notional_micros, self.tokens)

    @property
    def overage_price_micros(self) -> int:
        """max(position's price, reference), compared exactly."""
        if self.reference_price_micros * self.tokens > self.notional_micros * PRICE_UNIT:
            return self.reference_price_micros
        return self.price_micros


def buyer_lines(posted: PositionOutcome, context: LineContext) -> list[StatementLine]:
    """What the run did for the buyer. Delivered tokens and take-or-pay came out of escrow: value without amount."""
    to = _Writer(context, context.accounts.provider.code)
    price = context.price_micros
    charged = posted.overage.gross_micros
    return _told(
        [
            to.line("delivered", Line.PAY_PROVIDER, 0, posted.delivered_micros, posted.delivered_tokens, price),
            to.line("take_or_pay", Line.PAY_PROVIDER, 0, posted.take_or_pay_micros, posted.unused_tokens, price),
            to.cash("refund_unused", Line.REFUND_UNUSED, posted.refund_unused_micros, posted.unused_tokens),
            to.cash("refund_short", Line.REFUND_SHORT, posted.refund_short_micros, posted.short_tokens),
            to.cash("damages", Line.DAMAGES, posted.damages_micros, posted.short_tokens),
            to.line("overage", Line.OVERAGE, -charged, charged, posted.overage_tokens, context.overage_price_micros),
            to.cash("overage_fee", Line.OVERAGE, -posted.overage_fee_micros),
            to.line("excess", None, 0, 0, posted.excess_tokens),
        ]
    )


def provider_lines(posted: PositionOutcome, context: LineContext) -> list[StatementLine]:
    """What the run did for the provider."""
    to = _Writer(context, context.accounts.buyer.code)
    price = context.price_micros
    return _told(
        [
            to.cash("delivered", Line.PAY_PROVIDER, posted.delivered_micros, posted.delivered_tokens, price),
            to.cash("take_or_pay", Line.PAY_PROVIDER, posted.take_or_pay_micros, posted.unused_tokens, price),
            to.cash("provider_fee", Line.PAY_PROVIDER, -posted.pay.fee_micros),
            *_shares_given(to, Line.PAY_PROVIDER, posted.pay),
            to.line("short", Line.SHORT, 0, posted.refund_short_micros, posted.short_tokens, price),
            to.cash("damages", Line.DAMAGES, -posted.damages_micros, posted.short_tokens),
            to.cash(
                "overage",
                Line.OVERAGE,
                posted.overage.gross_micros,
                posted.overage_tokens,
                context.overage_price_micros,
            ),
            to.cash("provider_fee", Line.OVERAGE, -posted.overage.fee_micros),
            *_shares_given(to, Line.OVERAGE, posted.overage),
            to.line("excess", None, 0, 0, posted.excess_tokens),
        ]
    )


def beneficiary_lines(posted: PositionOutcome, context: LineContext, party_id: int) -> list[StatementLine]:
    """The shares that went to a party, whoever's position it was."""
    to = _Writer(context, context.accounts.provider.code)
    return _told(
        [
            to.cash("share", line, amount.micros, beneficiary=amount.share.beneficiary)
            for line, payout in ((Line.PAY_PROVIDER, posted.pay), (Line.OVERAGE, posted.overage))
            for amount in payout.shares
            if amount.share.party_id == party_id
        ]
    )


def split_figures(posted: PositionOutcome, context: LineContext, *, schedule_version: int) -> list[SplitFigure]:
    """How the provider's net money of a position was shared out, its own share included."""
    return [
        SplitFigure(
            contract=context.accounts.contract,
            counterparty=context.accounts.buyer.code,
            kind=line.value,
            schedule_version=schedule_version,
            beneficiary=amount.share.beneficiary,
            weight_ppm=amount.share.weight_ppm,
            micros=amount.micros,
        )
        for line, payout in ((Line.PAY_PROVIDER, posted.pay), (Line.OVERAGE, posted.overage))
        if payout.gross_micros
        for amount in payout.shares
    ]


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes lines of one position for a party, naming the other side."""

    context: LineContext
    counterparty: str

    def line(
        self,
        kind: str,
        posting: Line | None,
        amount: int,
        value: int,
        tokens: int | None = None,
        price: int | None = None,
        beneficiary: str | None = None,
    ) -> StatementLine:
        context = self.context
        posted = posting is not None and bool(amount or value)  # what comes to nothing is not posted
        return StatementLine(
            contract=context.accounts.contract,
            window_start=context.window_start,
            window_end=context.window_end,
            kind=kind,
            amount_micros=amount,
            value_micros=value,
            tax_category=context.tax_category,
            tax_rate_ppm=context.tax_rate_ppm,
            counterparty=self.counterparty,
            tokens=tokens,
            price_micros=price,
            beneficiary=beneficiary,
            source=SOURCE if posted else None,
            reference=context.accounts.reference(context.run_key, posting) if posting and posted else None,
        )

    def cash(
        self,
        kind: str,
        posting: Line,
        amount: int,
        tokens: int | None = None,
        price: int | None = None,
        beneficiary: str | None = None,
    ) -> StatementLine:
        """A line whose whole value moved on the party's cash account."""
        return self.line(kind, posting, amount, amount, tokens, price, beneficiary)


def _shares_given(to: _Writer, posting: Line, payout: Payout) -> Iterator[StatementLine]:
    for amount in payout.shares:
        if amount.share.recipient is not Recipient.PROVIDER:
            yield to.cash("share", posting, -amount.micros, beneficiary=amount.share.beneficiary)


def _told(lines: list[StatementLine]) -> list[StatementLine]:
    """Only lines that say something: an amount, a value or tokens."""
    return [line for line in lines if line.amount_micros or line.value_micros or line.tokens]
