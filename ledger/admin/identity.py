"""Users, parties and API keys, and the operator's acts on them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.safestring import SafeString

from ledger.admin.base import RecordAdmin, RecordInline, action, column, number_or_404, owned_by, state_label
from ledger.admin.command_forms import AddsByCommand, CommandForm, command_page
from ledger.admin.identity_forms import AddMemberForm, IssueKeyForm, RegisterPartyForm, RevokeKeyForm
from ledger.admin.treasury_forms import DepositForm, WithdrawForm
from ledger.models import ApiKey, Membership, Party, User
from ledger.parties.access import Access
from ledger.web import access_of

admin.site.unregister(Group)  # memberships say who may do what; Django's groups would only mislead


class MembershipInline(RecordInline):
    model = Membership
    verbose_name_plural = "memberships"


@admin.register(User)
class UserAdmin(AddsByCommand):
    """People. An operator adds them together with their first membership."""

    list_display = ("username", "is_active", "last_login", "parties")
    ordering = ("username",)
    search_fields = ("username",)
    fields = ("login", "may_log_in", "date_joined", "last_login")
    readonly_fields = ("login", "may_log_in")
    inlines = (MembershipInline,)
    add_form = AddMemberForm

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("memberships__party")

    @column("User name")
    def login(self, user: User) -> str:
        return user.get_username()

    @column("May log in")
    def may_log_in(self, user: User) -> str:
        return "yes" if user.is_active else "no"

    @column("Acts for")
    def parties(self, user: User) -> str:
        return ", ".join(
            f"{membership.party} ({membership.get_role_display()})" for membership in user.memberships.all()
        )


@admin.register(Party)
class PartyAdmin(AddsByCommand):
    """Parties. From a party's page, money in and out is asked for and keys are issued."""

    list_display = ("code", "name", "kind", "created_at")
    list_filter = ("kind",)
    search_fields = ("code", "name")
    ordering = ("kind", "code")
    add_form = RegisterPartyForm
    actions_detail = ("deposit", "withdraw", "issue_key")

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("id", access.party_ids)

    def may_add(self, access: Access) -> bool:
        return access.is_operator

    def has_manage_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return access_of(request).is_operator

    def has_withdraw_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        access = access_of(request)
        return access.is_operator or number_or_404(str(object_id)) in access.party_ids

    @action(description="Deposit", url_path="deposit", icon="add_card", permissions=["manage"])
    def deposit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, DepositForm)

    @action(description="Withdrawal", url_path="withdraw", icon="payments", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, WithdrawForm)

    @action(description="Issue API key", url_path="issue-key", icon="key", permissions=["manage"])
    def issue_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act_on(request, object_id, IssueKeyForm)

    def _act_on(self, request: HttpRequest, object_id: str, form: type[CommandForm]) -> HttpResponse:
        party = get_object_or_404(self.get_queryset(request), pk=number_or_404(object_id))
        return command_page(self, request, form, subject=party, party=party)


@admin.register(ApiKey)
class ApiKeyAdmin(RecordAdmin):
    """API keys by their prefix; the secret was shown once and is stored nowhere."""

    list_display = ("prefix", "party", "label", "scopes_shown", "state_shown", "created_at")
    list_select_related = ("party",)
    search_fields = ("prefix", "label", "party__code")
    party_columns = ("party",)
    ordering = ("-id",)
    fields = ("prefix", "party", "label", "scopes_shown", "created_at", "created_by", "revoked_at")
    readonly_fields = ("scopes_shown",)
    actions_detail = ("revoke",)

    def own_rows(self, access: Access) -> Q | None:
        return owned_by("party_id", access.party_ids)

    @column("Scopes")
    def scopes_shown(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @column("State", ordering="revoked_at")
    def state_shown(self, key: ApiKey) -> SafeString:
        return state_label("current" if key.revoked_at is None else "revoked")

    def has_revoke_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return access_of(request).is_operator

    @action(description="Revoke", url_path="revoke", icon="key_off", permissions=["revoke"])
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = get_object_or_404(self.get_queryset(request), pk=number_or_404(object_id))
        return command_page(self, request, RevokeKeyForm, subject=key, key=key)
