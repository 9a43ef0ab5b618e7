"""What netting and payments refuse."""

from __future__ import annotations

from ledger.errors import Category, DomainError


class NothingToNet(DomainError):
    """No published run of this currency and value date is still to be netted."""

    code = "nothing_to_net"
    category = Category.CONFLICT


class PayoutAccountMissing(DomainError):
    """The party has no confirmed account to be paid to. Ask for one, and let another operator confirm it."""

    code = "payout_account_missing"
    category = Category.CONFLICT


class InvalidPayoutAccount(DomainError):
    """An IBAN or BIC does not have the right form or check digits."""

    code = "invalid_payout_account"


class InstructionNotFound(DomainError):
    """There is no such payment instruction, or it is none of the caller's."""

    code = "instruction_not_found"
    category = Category.NOT_FOUND


class WrongInstructionState(DomainError):
    """A payment is created, exported, and then confirmed or returned. Read it again."""

    code = "wrong_instruction_state"
    category = Category.CONFLICT


class PaymentsWithheld(DomainError):
    """None of the payments may be sent now: each party is frozen, owes, or is paid elsewhere now. They are taken back.

    Each says why; make them again once that is over.
    """

    code = "payments_withheld"
    category = Category.CONFLICT


class InvalidConfirmation(DomainError):
    """The bank's file is not one that can be read, or names a payment or amount that was never sent."""

    code = "invalid_confirmation"


class WaterfallNotNeeded(DomainError):
    """The party has no open debt that the default waterfall could cover."""

    code = "waterfall_not_needed"
    category = Category.CONFLICT
