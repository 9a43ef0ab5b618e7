"""Accounts, the journal and the action log, to look at. Single entries have pages of their own (`ledger.pages`)."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.safestring import SafeString

from ledger.admin.account_forms import CloseForm, FreezeForm, ThawForm, key_of
from ledger.admin.base import InfinitePaginator, RecordAdmin, action, column, number_or_404, owned_by, state_label
from ledger.admin.command_forms import CommandForm, command_page
from ledger.chart import AssetKind
from ledger.models import Account, AccountChange, ActionLog, Asset, Batch, LedgerHead, SigningKey, Transaction
from ledger.parties.access import Access
from ledger.restrictions import serves_the_market
from ledger.templatetags.amounts import count, money, utc_seconds, whole_hex
from ledger.web import access_of


@admin.register(Asset)
class AssetAdmin(RecordAdmin):
    list_display = ("code", "kind", "scale", "expires_at")
    list_filter = ("kind",)
    search_fields = ("code",)
    ordering = ("kind", "code")


def _amount(account: Account, amount: int) -> str:
    return str(money(amount) if account.asset.kind == AssetKind.CURRENCY else count(amount))


@admin.register(Account)
class AccountAdmin(RecordAdmin):
    """A party's staff sees the accounts of its own parties; an operator freezes, thaws and closes them."""

    list_display = ("party", "role", "asset", "qualifier", "balance_shown", "held_shown", "free_shown", "seq")
    list_filter = ("role", "asset__kind")
    search_fields = ("party__code", "asset__code", "qualifier")
    list_select_related = ("party", "asset")
    party_columns = ("party",)
    ordering = ("party__code", "asset__code", "role", "qualifier")
    fields = (
        "party", "asset", "role", "qualifier", "balance_shown", "held_shown", "free_shown", "seq", "restriction",
    )  # fmt: skip
    readonly_fields = ("balance_shown", "held_shown", "free_shown", "restriction")
    actions_detail = ("entries", "freeze", "thaw", "close")

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)

    @column("Balance", ordering="balance")
    def balance_shown(self, account: Account) -> str:
        return _amount(account, account.balance)

    @column("Held", ordering="held")
    def held_shown(self, account: Account) -> str:
        return _amount(account, account.held)

    @column("Free")
    def free_shown(self, account: Account) -> str:
        return "no limit" if account.floor is None else _amount(account, account.balance - account.held - account.floor)

    @column("Restriction")
    def restriction(self, account: Account) -> str:
        return "closed" if account.closed else "frozen: it takes money and gives none" if account.frozen else "none"

    @action(description="Entries", url_path="entries", icon="list")
    def entries(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("account", args=(number_or_404(object_id),)))

    def has_freeze_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self._is(request, object_id, frozen=False)

    def has_thaw_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return self._is(request, object_id, frozen=True)

    def has_close_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        account = Account.objects.filter(pk=number_or_404(str(object_id))).first()
        return account is not None and self._is(request, object_id) and not serves_the_market(key_of(account))

    @action(description="Freeze account", url_path="freeze", icon="ac_unit", permissions=["freeze"])
    def freeze(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, FreezeForm)

    @action(description="Thaw account", url_path="thaw", icon="sunny", permissions=["thaw"])
    def thaw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, ThawForm)

    @action(description="Close account", url_path="close", icon="lock", permissions=["close"])
    def close(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, CloseForm)

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        account = get_object_or_404(self.get_queryset(request), pk=number_or_404(object_id))
        return command_page(self, request, form, subject=account, account=account)

    def _is(self, request: HttpRequest, object_id: object, **flags: bool) -> bool:
        found = Account.objects.filter(pk=number_or_404(str(object_id)), closed=False, **flags)
        return access_of(request).is_operator and found.exists()


@admin.register(AccountChange)
class AccountChangeAdmin(RecordAdmin):
    list_display = ("at", "account", "what", "before", "after", "actor", "reason")
    ordering = ("-id",)
    list_select_related = ("account",)
    paginator = InfinitePaginator


@admin.register(LedgerHead)
class LedgerHeadAdmin(RecordAdmin):
    list_display = ("version", "last_transaction", "last_batch")


@admin.register(Batch)
class BatchAdmin(RecordAdmin):
    """What one call of the posting door wrote."""

    list_display = ("no", "posted_at", "actor", "count", "first_transaction", "last_transaction")
    ordering = ("-no",)
    paginator = InfinitePaginator
    readonly_fields = ("merkle_root", "chained_to", "chain_hash")

    @column("Merkle root")
    def merkle_root(self, batch: Batch) -> str:
        return whole_hex(batch.root)

    @column("Hash of the batch before")
    def chained_to(self, batch: Batch) -> str:
        return whole_hex(batch.previous)

    @column("Hash")
    def chain_hash(self, batch: Batch) -> str:
        return whole_hex(batch.hash)


@admin.register(Transaction)
class TransactionAdmin(RecordAdmin):
    list_display = ("id", "posted_at", "kind", "source", "reference", "legs", "actor")
    list_filter = ("kind", "source")
    search_fields = ("reference",)
    ordering = ("-id",)
    paginator = InfinitePaginator
    actions_detail = ("legs_of",)
    readonly_fields = ("leaf_hash",)

    @column("Leaf")
    def leaf_hash(self, transaction: Transaction) -> str:
        return whole_hex(transaction.leaf)

    @action(description="Entries", url_path="entries", icon="list")
    def legs_of(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("journal-transaction", args=(number_or_404(object_id),)))


@admin.register(ActionLog)
class ActionLogAdmin(RecordAdmin):
    """Who did what, why and when."""

    list_display = ("when", "actor", "action", "subject", "reason")
    list_filter = ("action",)
    search_fields = ("actor", "subject")
    ordering = ("-id",)
    paginator = InfinitePaginator

    @column("At", ordering="at")
    def when(self, entry: ActionLog) -> str:
        return str(utc_seconds(entry.at))


@admin.register(SigningKey)
class SigningKeyAdmin(RecordAdmin):
    """The public side of the ring; the private part is never shown."""

    list_display = ("kid", "state_shown", "valid_from", "valid_until")
    fields = ("kid", "state_shown", "valid_from", "valid_until", "public_jwk")
    readonly_fields = ("state_shown",)

    @column("State", ordering="state")
    def state_shown(self, key: SigningKey) -> SafeString:
        return state_label(key.state)
