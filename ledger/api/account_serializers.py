"""The shapes of accounts, entries and transactions outside. Money as decimal strings, tokens as integer strings."""

from __future__ import annotations

from rest_framework import serializers

from ledger.api.fields import AssetAmountField, CountField, DigestField
from ledger.selectors.accounts import Balance
from ledger.selectors.entries import Line, PostedTransaction


class BalanceSerializer(serializers.Serializer[Balance]):
    """What stands on an account."""

    account_id = serializers.CharField()
    asset = serializers.CharField(help_text="A currency, or the symbol of a contract whose tokens are counted.")
    asset_kind = serializers.CharField()
    role = serializers.CharField(help_text="cash, entitlement, obligation, …")
    qualifier = serializers.CharField()
    balance = AssetAmountField("balance")
    held = AssetAmountField("held", help_text="Kept back for open orders, bonds, overage and withdrawals.")
    available = AssetAmountField(
        "available", allow_null=True, help_text="What may still be used; null when unbounded, and in the past."
    )
    as_of_transaction = CountField(
        source="through", allow_null=True, help_text="The last transaction that the figures include; null: as of now."
    )


class AccountSerializer(BalanceSerializer):
    """An account with its figures. It may be frozen or closed now, whatever the past that was asked for."""

    party = serializers.CharField(help_text="Code of the party.")
    entries = CountField(help_text="Entries so far; they are numbered from 1 without gaps.")
    hold_entries = CountField(help_text="Changes of `held` so far, numbered likewise.")
    frozen = serializers.BooleanField(help_text="Takes, and gives nothing.")
    closed = serializers.BooleanField()


class _PostingSerializer(serializers.Serializer[Line]):
    """The transaction of an entry, with what a statement says about it."""

    transaction_id = serializers.CharField(
        source="posted.id", allow_null=True, help_text="null: held before changes of holds were recorded."
    )
    kind = serializers.CharField(source="posted.kind", allow_null=True)
    source = serializers.CharField(source="posted.source", allow_null=True)  # type: ignore[assignment]  # a field so named
    reference = serializers.CharField(source="posted.reference", allow_null=True)
    effective_at = serializers.DateTimeField(source="posted.effective_at", allow_null=True)
    posted_at = serializers.DateTimeField(source="posted.posted_at", allow_null=True)


class _EntryFigures(serializers.Serializer[Line]):
    number = CountField(help_text="Its place in the account, from 1 without gaps.")
    leg = serializers.IntegerField(help_text="Its place in the transaction, from 1.")
    amount = AssetAmountField("amount", help_text="What it adds; negative when it takes.")
    balance_after = AssetAmountField("after")
    ref = serializers.CharField(help_text="What it is for, such as a fill.")


class _HoldFigures(serializers.Serializer[Line]):
    number = CountField(help_text="Its place among the account's changes of holds, from 1 without gaps.")
    position = serializers.IntegerField(source="leg", help_text="Its place in the transaction, from 1.")
    delta = AssetAmountField("amount", help_text="Held in addition; negative when it is released.")
    held_after = AssetAmountField("after")
    ref = serializers.CharField(help_text="What it is held for, such as an order.")


class EntrySerializer(_EntryFigures, _PostingSerializer):
    """One leg of a transaction, as a line of its account's statement."""


class HoldEntrySerializer(_HoldFigures, _PostingSerializer):
    """One change of what an account holds back."""


class _AccountNameSerializer(serializers.Serializer[Line]):
    account_id = serializers.CharField(source="account.id")
    party = serializers.CharField(source="account.party.code")
    asset = serializers.CharField(source="account.asset.code")
    role = serializers.CharField(source="account.role")
    qualifier = serializers.CharField(source="account.qualifier")


class TransactionEntrySerializer(_EntryFigures, _AccountNameSerializer):
    """One leg of a transaction, with its account."""


class TransactionHoldSerializer(_HoldFigures, _AccountNameSerializer):
    """One change of a hold by a transaction, with its account."""


class TransactionSerializer(serializers.Serializer[PostedTransaction]):
    """A transaction without its legs."""

    id = serializers.CharField(source="posted.id", help_text="Its number in the journal.")
    batch = serializers.CharField(source="posted.batch_no", help_text="The batch that sealed it.")
    kind = serializers.CharField(source="posted.kind")
    source = serializers.CharField(source="posted.source")  # type: ignore[assignment]  # a field so named
    reference = serializers.CharField(source="posted.reference", help_text="Unique at its source.")
    actor = serializers.CharField(source="posted.actor")
    effective_at = serializers.DateTimeField(source="posted.effective_at", help_text="When it takes effect.")
    posted_at = serializers.DateTimeField(source="posted.posted_at", help_text="When it came into the journal.")
    legs = serializers.IntegerField(source="posted.legs", help_text="Of all parties.")
    reverses = serializers.CharField(source="posted.reverses", allow_null=True)
    reversed_by = serializers.CharField(allow_null=True)
    leaf = DigestField(source="posted.leaf", help_text="Its hash in the tree of its batch.")


class TransactionDetailSerializer(TransactionSerializer):
    """A transaction with those of its legs and holds that the caller may see: its own party's."""

    entries = TransactionEntrySerializer(many=True, source="legs")
    holds = TransactionHoldSerializer(many=True)
