"""The operator's forms for parties, people and API keys."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.urls import reverse
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from ledger.admin.command_forms import (
    CommandForm,
    Done,
    choice_field,
    password_field,
    text_field,
)
from ledger.models import ApiKey, MembershipRole, Party, PartyKind, User
from ledger.parties.commands import add_member, register_party
from ledger.parties.keys import PARTY_SCOPES, Scope, issue_key, revoke_key


class RegisterPartyForm(CommandForm):
    title = "Register a party"
    intro = "A legal holder of accounts. Its code is its public name: it appears on statements and never changes."
    submit = "Register the party"

    code = text_field("Code", help_text="Small letters, digits and hyphens, such as north-compute.", max_length=40)
    name = text_field("Name", max_length=120)
    kind = choice_field("Kind", [(kind.value, kind.label) for kind in PartyKind if kind is not PartyKind.HOUSE])

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        if Party.objects.filter(code=code).exists():
            raise forms.ValidationError("This code is taken.")
        return code

    def act(self) -> Done:
        data = self.cleaned_data
        party = register_party(
            data["code"], data["name"], PartyKind(data["kind"]), actor=self.access.actor, now=self.now
        )
        return Done(f"{party} is registered.", reverse("admin:ledger_party_change", args=(party.pk,)))


class AddMemberForm(CommandForm):
    title = "Add a person"
    intro = "A login that acts for a party. A person who exists already keeps the password they have."
    submit = "Add the person"

    username = text_field("User name", max_length=150)
    password = password_field(
        "Password", help_text="At least ten characters. They can change it after the first login."
    )
    party = choice_field("Acts for")
    role = choice_field("As", [(role.value, role.label) for role in MembershipRole])

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.choose_from(
            "party", [(str(party.pk), f"{party} ({party.kind})") for party in Party.objects.order_by("name")]
        )

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        User.username_validator(username)
        return username

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        validate_password(password)
        return password

    def act(self) -> Done:
        data = self.cleaned_data
        party = Party.objects.get(pk=data["party"])
        role = MembershipRole(data["role"])
        user = add_member(data["username"], data["password"], party, role, actor=self.access.actor, now=self.now)
        return Done(f"{user} now acts for {party}.", reverse("admin:ledger_user_change", args=(user.pk,)))


SCOPE_MEANS = {
    Scope.READ: "own rows",
    Scope.TRADE: "place, amend and cancel orders",
    Scope.METER: "report usage",
    Scope.AUDIT: "read everything",
}


class IssueKeyForm(CommandForm):
    title = "Issue an API key"
    intro = "The key is shown once, on the next page. Only a hash of it is kept."
    submit = "Issue the key"

    label = text_field("Label", help_text="What it is for; people see it in the list of keys.", max_length=80)
    scopes = forms.MultipleChoiceField(
        label="Scopes", widget=UnfoldAdminCheckboxSelectMultipleWidget(), help_text="Those that its party can use."
    )

    def __init__(self, *arguments: Any, party: Party, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.party = party
        usable = PARTY_SCOPES[PartyKind(party.kind)]
        self.choose_from("scopes", [(each.value, f"{each}: {SCOPE_MEANS[each]}") for each in Scope if each in usable])

    def act(self) -> Done:
        scopes = [Scope(scope) for scope in self.cleaned_data["scopes"]]
        issued = issue_key(self.party, self.cleaned_data["label"], scopes, actor=self.access.actor, now=self.now)
        url = reverse("admin:ledger_apikey_change", args=(issued.key.pk,))
        return Done(f"A key for {self.party}.", url, secret=issued.text)


class RevokeKeyForm(CommandForm):
    title = "Revoke an API key"
    intro = "Requests with it are refused from now on. This cannot be undone; a new key can be issued."
    submit = "Revoke the key"
    dangerous = True

    def __init__(self, *arguments: Any, key: ApiKey, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.key = key

    def act(self) -> Done:
        revoke_key(self.key, actor=self.access.actor, now=self.now)
        url = reverse("admin:ledger_apikey_change", args=(self.key.pk,))
        return Done(f"Key {self.key.prefix} is revoked.", url)
