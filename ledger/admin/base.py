"""What every table of the admin shares: who sees which rows follows from memberships, and rows are only ever looked at.

Django's model permissions and `is_superuser` decide nothing here. Whatever changes something is a command behind a form
of its own (`command_forms`); no row is edited or deleted through the admin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ledger.parties.access import Access
from ledger.web import access_of

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:  # unfold carries no types; its classes extend Django's
    from django.contrib.admin import ModelAdmin as _DjangoModelAdmin
    from django.contrib.admin import TabularInline as _DjangoTabularInline

    ModelAdmin = _DjangoModelAdmin[Any]
    TabularInline = _DjangoTabularInline[Any, Any]
    InfinitePaginator: type[Any]

    def action(**options: Any) -> Callable[[F], F]: ...
else:
    from unfold.admin import ModelAdmin, TabularInline
    from unfold.decorators import action
    from unfold.paginator import InfinitePaginator

__all__ = [
    "InfinitePaginator",
    "RecordAdmin",
    "RecordInline",
    "action",
    "column",
    "number_or_404",
    "owned_by",
    "state_label",
]


class RecordAdmin(ModelAdmin):
    """A table to look at. Operators and auditors see all of it, the staff of a party what `own_rows` gives them."""

    list_per_page = 50
    show_full_result_count = False
    list_fullwidth = True
    actions_detail: ClassVar[tuple[str, ...]] = ()
    party_columns: ClassVar[tuple[str, ...]] = ()  # say nothing to those who act for one party

    def own_rows(self, access: Access) -> Q | None:
        """Which rows the staff of a party sees; None when the table is not for them."""
        return None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        access = access_of(request)
        if access.reads_everything:
            return rows
        own = self.own_rows(access)
        return rows.none() if own is None else rows.filter(own)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        access = access_of(request)
        return access.reads_everything or self.own_rows(access) is not None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {}

    def get_list_display(self, request: HttpRequest) -> Any:
        access = access_of(request)
        columns = super().get_list_display(request)
        if access.reads_everything or len(access.party_ids) > 1:
            return columns
        return [column for column in columns if column not in self.party_columns]


class RecordInline(TabularInline):
    """Rows below the row they belong to, to look at."""

    extra = 0
    can_delete = False
    hide_title = True
    show_change_link = False

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True  # whoever sees the row sees its parts

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def number_or_404(object_id: str) -> int:
    """The row number in an address; there is nothing under anything else."""
    if not (object_id.isascii() and object_id.isdigit() and len(object_id) < 19):
        raise Http404
    return int(object_id)


def owned_by(field: str, parties: Iterable[int]) -> Q | None:
    """Rows whose `field` is one of these parties; None when there are none."""
    ids = list(parties)
    return Q(**{f"{field}__in": ids}) if ids else None


def column(description: str, *, ordering: str | None = None) -> Callable[[F], F]:
    """Name a computed column of a table."""
    return admin.display(description=description, ordering=ordering)


def state_label(state: str) -> SafeString:
    """A state as a coloured label."""
    return format_html('<span class="state {}">{}</span>', state, state.replace("_", " "))
