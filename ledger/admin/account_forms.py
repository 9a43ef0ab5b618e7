"""The forms behind which an operator freezes, thaws and closes an account."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from ledger.admin.command_forms import Done, ReasonForm
from ledger.chart import AccountKey, Role
from ledger.models import Account
from ledger.restrictions import close_account, freeze_account, thaw_account


def key_of(account: Account) -> AccountKey:
    """What the ledger's commands know an account by."""
    return AccountKey(account.party_id, account.asset_id, Role(account.role), account.qualifier)


class _AccountForm(ReasonForm):
    def __init__(self, *arguments: Any, account: Account, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.key, self.account_id = key_of(account), account.pk

    def _done(self, message: str) -> Done:
        return Done(message, reverse("admin:ledger_account_change", args=(self.account_id,)))


class FreezeForm(_AccountForm):
    title = "Freeze the account"
    intro = "It still takes money and gives none: orders, withdrawals and transfers out of it are refused."
    submit = "Freeze the account"
    dangerous = True

    def act(self) -> Done:
        freeze_account(self.key, reason=self.cleaned_data["reason"], actor=self.access.actor, now=self.now)
        return self._done("The account is frozen.")


class ThawForm(_AccountForm):
    title = "Thaw the account"
    intro = "It gives money again from now on."
    submit = "Thaw the account"

    def act(self) -> Done:
        thaw_account(self.key, reason=self.cleaned_data["reason"], actor=self.access.actor, now=self.now)
        return self._done("The account gives money again.")


class CloseForm(_AccountForm):
    title = "Close the account"
    intro = "It must be empty, and takes nothing any more. Closing is final: no one opens it again."
    submit = "Close the account for good"
    dangerous = True

    def act(self) -> Done:
        close_account(self.key, reason=self.cleaned_data["reason"], actor=self.access.actor, now=self.now)
        return self._done("The account is closed.")
