"""Forms of the admin that run one command each. A refusal becomes an error of the form, in the refusal's own words."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, cast

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.forms.forms import DeclarativeFieldsMetaclass
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminPasswordWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from ledger.admin.base import RecordAdmin
from ledger.clock import get_clock
from ledger.errors import DomainError
from ledger.parties.access import Access
from ledger.web import access_of


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did, for the person, and where to go on. A `secret` is shown on this one page and never again."""

    message: str
    url: str
    secret: str = ""


class _AbstractForms(ABCMeta, DeclarativeFieldsMetaclass):
    """Forms that lack a method which their kind calls for cannot be made."""


class CommandForm(forms.Form, metaclass=_AbstractForms):
    """A form that becomes one command. `access` is the caller's, `now` the time the command runs under."""

    title: ClassVar[str]
    intro: ClassVar[str] = ""
    submit: ClassVar[str]
    dangerous: ClassVar[bool] = False
    columns: ClassVar[bool] = False  # many short fields stand side by side
    field_of: ClassVar[Mapping[str, str]] = {}  # a refusal's `field` -> the form's field, where the names differ
    use_required_attribute = True

    def __init__(self, *arguments: Any, access: Access, now: datetime, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.access, self.now = access, now

    @abstractmethod
    def act(self) -> Done:
        """Run the command on `cleaned_data`. May raise any `DomainError`."""

    def choose_from(self, field: str, choices: Sequence[tuple[str, str]]) -> None:
        """Fill a choice field with what there is for this caller."""
        cast(forms.ChoiceField, self.fields[field]).choices = choices

    def perform(self) -> Done | None:
        """Check the input and act; None leaves errors on the form."""
        if not self.is_valid():
            return None
        try:
            return self.act()
        except DomainError as refusal:
            self.refuse(refusal)
            return None

    def refuse(self, refusal: DomainError) -> None:
        """Show a refusal at the field it names."""
        named = str(refusal.fields.get("field", ""))
        field = self.field_of.get(named, named)
        self.add_error(field if field in self.fields else None, refusal.message)


class AddsByCommand(RecordAdmin):
    """A table whose rows are added by a command. `may_add` says by whom; the form replaces Django's own."""

    add_form: type[CommandForm]
    add_template: str = "admin/command_form.html"

    @abstractmethod
    def may_add(self, access: Access) -> bool:
        """Whether this person may add rows."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may_add(access_of(request))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        return command_page(self, request, self.add_form, template=self.add_template)


def command_page(
    model_admin: RecordAdmin,
    request: HttpRequest,
    form_class: type[CommandForm],
    *,
    template: str = "admin/command_form.html",
    subject: Model | None = None,
    **options: Any,
) -> HttpResponse:
    """Show a command's form, run it when it is posted, and go on to what it did."""
    data = request.POST if request.method == "POST" else None
    # What an address or a form not yet sent brings along stands in the fields, and is only tried out.
    access, now = access_of(request), get_clock().now()
    form = form_class(data, request.FILES or None, initial=request.GET.dict(), access=access, now=now, **options)
    if data is not None:
        done = form.perform()
        if done is not None and done.secret:
            shown = {**model_admin.admin_site.each_context(request), "title": form.title, "done": done}
            return TemplateResponse(request, "admin/shown_once.html", shown)  # the admin's pages are never stored
        if done is not None:
            messages.success(request, done.message)
            return HttpResponseRedirect(done.url)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": form.title,
        "subject": subject,
        "form": form,
        "back_url": _back_url(model_admin, subject),
    }
    return TemplateResponse(request, template, context, status=422 if form.errors else 200)


def _back_url(model_admin: RecordAdmin, subject: Model | None) -> str:
    opts = model_admin.model._meta
    if subject is None:
        return reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=(subject.pk,))


def text_field(
    label: str, *, help_text: str = "", required: bool = True, max_length: int = 80, **attributes: str
) -> forms.CharField:
    """One line of text."""
    widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", **attributes})
    return forms.CharField(label=label, help_text=help_text, required=required, max_length=max_length, widget=widget)


def number_field(
    label: str, *, help_text: str = "", required: bool = True, maximum: int = 2**53 - 1
) -> forms.IntegerField:
    """A whole number of at least 1, typed as text so that every browser keeps its digits."""
    widget = UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric", "autocomplete": "off"})
    return forms.IntegerField(
        label=label, help_text=help_text, required=required, min_value=1, max_value=maximum, widget=widget
    )


def decimal_field(label: str, *, help_text: str = "", required: bool = True) -> forms.CharField:
    """A decimal string, kept as text: amounts are parsed by `ledger.money` alone."""
    return text_field(label, help_text=help_text, required=required, inputmode="decimal")


def paragraph_field(label: str, *, help_text: str = "", required: bool = True, rows: int = 4) -> forms.CharField:
    """Several lines of text."""
    widget = UnfoldAdminTextareaWidget(attrs={"rows": str(rows)})
    return forms.CharField(label=label, help_text=help_text, required=required, widget=widget)


def file_field(label: str, *, help_text: str = "", required: bool = True) -> forms.FileField:
    """A file that comes along."""
    widget = forms.FileInput(attrs={"class": " ".join(INPUT_CLASSES)})
    return forms.FileField(label=label, help_text=help_text, required=required, widget=widget)


def moment_field(label: str, *, help_text: str = "In UTC.") -> forms.DateTimeField:
    """A UTC date and time."""
    attributes = {"type": "datetime-local", "class": " ".join(INPUT_CLASSES)}
    widget = forms.DateTimeInput(attrs=attributes, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(label=label, help_text=help_text, widget=widget)


def choice_field(
    label: str, choices: Sequence[tuple[str, str]] = (), *, help_text: str = "", required: bool = True
) -> forms.ChoiceField:
    """One of a list."""
    return forms.ChoiceField(
        label=label, choices=choices, help_text=help_text, required=required, widget=UnfoldAdminSelectWidget()
    )


def radio_field(
    label: str, choices: Sequence[tuple[str, str]], *, initial: str, help_text: str = ""
) -> forms.ChoiceField:
    """One of a few, all in sight."""
    widget = UnfoldAdminRadioSelectWidget(radio_style=2)
    return forms.ChoiceField(label=label, choices=choices, initial=initial, help_text=help_text, widget=widget)


def password_field(label: str, *, help_text: str = "") -> forms.CharField:
    """A new password; it is never shown again."""
    widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, help_text=help_text, strip=False, widget=widget)


class ReasonForm(CommandForm):
    """A command that needs nothing but a reason, which goes into the action log."""

    reason = paragraph_field("Reason", help_text="It goes into the action log, which the auditor reads.", rows=3)
