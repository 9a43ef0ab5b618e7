"""Words for the codes of statements, and how figures are written for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping

LINE_WORDS: Mapping[str, str] = {
    "delivered": "Delivered tokens",
    "take_or_pay": "Take-or-pay on unused tokens",
    "sla": "Price reduction for service below its class",
    "refund_unused": "Refund for unused tokens",
    "refund_short": "Refund for tokens not delivered",
    "suspended": "Held back until a case is decided",
    "short": "Tokens not delivered",
    "damages": "Damages for tokens not delivered",
    "overage": "Use above the position",
    "overage_fee": "Fee on use above the position",
    "made_up": "Unused tokens made up later",
    "made_up_fee": "Fee on tokens made up later",
    "make_up_credit": "Tokens that may be made up later",
    "provider_fee": "Provider's fee",
    "share": "Share",
    "excess": "Use beyond the overage cap, not charged",
    "unmatched": "Use without a position, not charged",
    "debt": "Still to be paid",
    "claim": "Still to be received",
    "dispute": "Decided dispute",
    "dispute_release": "Disputed amount released",
}
MOVEMENT_WORDS: Mapping[str, str] = {
    "deposit": "Deposits",
    "withdrawal": "Withdrawals",
    "payout": "Payments out",
    "payout_return": "Payments out that came back",
    "fill_reversal": "Trades taken back",
    "reversal": "Deposits and withdrawals taken back",
    "clearing": "Purchases and their fees",
    "pay_provider": "Paid for delivered and reserved tokens, after fee and shares",
    "refund_unused": "Refunds for unused tokens",
    "refund_short": "Refunds for tokens not delivered",
    "sla": "Price reductions for service below its class",
    "suspended": "Held back until cases are decided",
    "overage": "Use above positions",
    "made_up": "Unused tokens made up later",
    "made_up_fee": "Fees on tokens made up later",
    "damages": "Damages",
    "adjustment": "Changes by a later run",
    "clear_debt": "Debts paid",
    "dispute_suspense": "Disputed amounts held back",
    "dispute_release": "Disputed amounts given back",
    "dispute_settle": "Disputes settled",
    "fund_waterfall": "Paid in against defaults",
    "waterfall_cash": "Taken for a default: cash",
    "waterfall_contribution": "Taken for a default: own contribution",
    "waterfall_capital": "Taken for a default: the operator's capital",
    "waterfall_fund": "Taken for a default: mutual fund",
    "waterfall_assessment": "Taken for a default: assessment",
    "waterfall_haircut": "Cut from claims on a defaulter",
}
RUN_WORDS: Mapping[str, str] = {
    "indicative": "Indicative",
    "initial": "Initial",
    "final": "Final",
    "true_up": "True-up",
    "disputed_final": "Disputed-final",
}


def describe_line(kind: str) -> str:
    """The kind of a line in words; an unknown one as it is."""
    return LINE_WORDS.get(kind, kind.replace("_", " "))


def describe_movement(kind: str) -> str:
    """The kind of a movement of the cash account in words; an unknown one as it is."""
    return MOVEMENT_WORDS.get(kind, kind.replace("_", " "))


def describe_run(kind: str) -> str:
    """The kind of a settlement run in words; an unknown one as it is."""
    return RUN_WORDS.get(kind, kind.replace("_", " "))


def percent(ppm: int) -> str:
    """700000 -> "70 %", 125000 -> "12.5 %"."""
    whole, rest = divmod(ppm, 10_000)
    fraction = f".{rest:04d}".rstrip("0") if rest else ""
    return f"{whole}{fraction} %"


def grouped(figure: str | int) -> str:
    """ "-1234567.500000" -> "-1,234,567.500000"; "" stays empty."""
    text = str(figure)
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, fraction = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{fraction}" if digits else ""
