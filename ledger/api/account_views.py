"""A party's accounts, their entries and holds, and the transactions behind them; an auditor reads every party's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from ledger.api.account_serializers import (
    AccountSerializer,
    BalanceSerializer,
    EntrySerializer,
    HoldEntrySerializer,
    TransactionDetailSerializer,
    TransactionSerializer,
)
from ledger.api.as_of import AS_OF, AS_OF_NAMES, asked_point
from ledger.api.authentication import caller_of
from ledger.api.base import PageView, PartyView, refuse_unknown_parameters
from ledger.api.filters import AccountFilter, EntryFilter, HoldEntryFilter, TransactionFilter
from ledger.api.schema import refusals
from ledger.models import Account, Entry, HoldEntry, Transaction
from ledger.parties.keys import Scope
from ledger.selectors.accounts import accounts_of, balances, get_account
from ledger.selectors.entries import (
    PostedTransaction,
    entry_lines,
    get_transaction,
    hold_lines,
    reversals_of,
    transactions_of,
)

READING = (Scope.READ, Scope.TRADE, Scope.AUDIT)
ACCOUNT_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH)
TRANSACTION_ID = OpenApiParameter("id", OpenApiTypes.INT64, OpenApiParameter.PATH, description="Number in the journal.")


class AccountsView(PartyView, PageView[Account]):
    """Accounts."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = AccountSerializer  # type: ignore[assignment]  # renders the rows' views
    filterset_class: ClassVar[Any] = AccountFilter
    page_order: ClassVar = ("id",)
    own_parameters = AS_OF_NAMES

    def get_queryset(self) -> QuerySet[Account]:
        return accounts_of(caller_of(self.request).readable_parties)

    def rendered(self, page: Sequence[Account]) -> Any:
        return balances(page, asked_point(self.request))

    @extend_schema(
        tags=["ledger"],
        operation_id="list_accounts",
        parameters=[*AS_OF],
        responses=refusals(400, 401, 403, 404),
    )
    def get(self, request: Request) -> Response:
        """The party's accounts, the oldest first, as they stand or as they stood; every party's for an auditor's key.

        404 is for a transaction in `as_of_transaction` that is not posted yet.
        """
        return self.list(request)


class BalancesView(AccountsView):
    """The caller's own accounts."""

    scopes: ClassVar = {"GET": (Scope.READ, Scope.TRADE)}
    serializer_class = BalanceSerializer  # type: ignore[assignment]  # fewer members
    filterset_class = None

    def get_queryset(self) -> QuerySet[Account]:
        return accounts_of([caller_of(self.request).party_id])

    @extend_schema(
        tags=["account"],
        operation_id="list_balances",
        parameters=[*AS_OF],
        responses=refusals(400, 401, 403, 404),
    )
    def get(self, request: Request) -> Response:
        """Balance, held and available of the party's accounts, the oldest first."""
        return self.list(request)


class AccountView(PartyView):
    """One account."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["ledger"],
        operation_id="get_account",
        parameters=[ACCOUNT_ID, *AS_OF],
        responses={200: AccountSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """An account as it stands, or as it stood."""
        refuse_unknown_parameters(request, AS_OF_NAMES)
        account = get_account(id, caller_of(request).readable_parties)
        (balance,) = balances([account], asked_point(request))
        return Response(AccountSerializer(balance).data)


class EntriesView(PartyView, PageView[Entry]):
    """An account's entries."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = EntrySerializer  # type: ignore[assignment]  # renders the rows' lines
    filterset_class = EntryFilter
    page_order: ClassVar = ("account_seq",)

    def get_queryset(self) -> QuerySet[Entry]:
        account = get_account(self.kwargs["id"], caller_of(self.request).readable_parties)
        return Entry.objects.filter(account_id=account.pk)

    def rendered(self, page: Sequence[Entry]) -> Any:
        return entry_lines(page)

    @extend_schema(
        tags=["ledger"],
        operation_id="list_entries",
        parameters=[ACCOUNT_ID],
        responses=refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """The account's entries in the order of its statement, the oldest first, each with the balance after it.

        Their numbers have no gaps and new ones come at the end, so pages neither skip nor repeat one. `after` goes on
        from the last number that a reader has.
        """
        return self.list(request)


class HoldEntriesView(PartyView, PageView[HoldEntry]):
    """An account's hold entries."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = HoldEntrySerializer  # type: ignore[assignment]  # renders the rows' lines
    filterset_class = HoldEntryFilter
    page_order: ClassVar = ("hold_seq",)

    def get_queryset(self) -> QuerySet[HoldEntry]:
        account = get_account(self.kwargs["id"], caller_of(self.request).readable_parties)
        return HoldEntry.objects.filter(account_id=account.pk)

    def rendered(self, page: Sequence[HoldEntry]) -> Any:
        return hold_lines(page)

    @extend_schema(
        tags=["ledger"],
        operation_id="list_hold_entries",
        parameters=[ACCOUNT_ID],
        responses=refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """Every change of what the account holds back, the oldest first, numbered and paged as entries are."""
        return self.list(request)


class TransactionsView(PartyView, PageView[Transaction]):
    """Transactions."""

    scopes: ClassVar = {"GET": READING}
    serializer_class = TransactionSerializer  # type: ignore[assignment]  # renders the rows' views
    filterset_class = TransactionFilter

    def get_queryset(self) -> QuerySet[Transaction]:
        return transactions_of(caller_of(self.request).readable_parties)

    def rendered(self, page: Sequence[Transaction]) -> Any:
        reversals = reversals_of(row.pk for row in page)
        return [PostedTransaction(row, reversals.get(row.pk), [], []) for row in page]

    @extend_schema(tags=["ledger"], operation_id="list_transactions", responses=refusals(400, 401, 403))
    def get(self, request: Request) -> Response:
        """The transactions that moved or held something of the party, newest first; all for an auditor's key."""
        return self.list(request)


class TransactionView(PartyView):
    """One transaction."""

    scopes: ClassVar = {"GET": READING}

    @extend_schema(
        tags=["ledger"],
        operation_id="get_transaction",
        parameters=[TRANSACTION_ID],
        responses={200: TransactionDetailSerializer} | refusals(400, 401, 403, 404),
    )
    def get(self, request: Request, id: int) -> Response:
        """A transaction with the party's own legs and holds; with all of them for an auditor's key."""
        refuse_unknown_parameters(request, ())
        return Response(TransactionDetailSerializer(get_transaction(id, caller_of(request).readable_parties)).data)
