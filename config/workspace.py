"""The admin's navigation and start page, by what the person may do. The admin itself is `admin/` in each app."""

from __future__ import annotations

from typing import Any

from django.db.models import Sum
from django.http import HttpRequest
from django.urls import reverse

from exchange.models import ContractState, DecisionState, OperatorDecision
from exchange.selectors.exposure import list_exposures
from exchange.selectors.market import list_contracts
from exchange.selectors.operations import get_sequencer
from exchange.selectors.orders import list_fills, list_orders
from exchange.selectors.positions import list_own_positions
from exchange.wording import price_writer
from ledger.chart import AssetKind, Role
from ledger.clock import get_clock
from ledger.models import Account, ActionLog, Transfer, TransferState
from ledger.parties.access import Access
from ledger.web import access_of
from settlement.models import JobState, SettlementJob
from settlement.selectors.runs import list_runs, progress_of
from settlement.selectors.statements import list_statements

ROWS = 8
AHEAD = (
    ContractState.LISTED,
    ContractState.TRADING,
    ContractState.HALTED,
    ContractState.CLOSED,
    ContractState.DELIVERING,
)

Item = dict[str, Any]


def navigation(request: HttpRequest) -> list[Item]:
    """The sidebar: only what the person has a use for."""
    access = access_of(request)
    groups = [_group("", [_item("Start", "space_dashboard", "admin:index")])]
    if access.provider_ids:
        groups.append(_group("Sell capacity", _PROVIDER))
    if access.party_ids:
        groups.append(_group("Your accounts", _PARTY))
    if access.reads_everything:
        groups += [_group(title, items) for title, items in _EVERYTHING.items()]
    public = [_item("Market", "candlestick_chart", "market")]
    if access.reads_everything:
        public.append(_item("Audit pages", "fact_check", "audit"))
    return [*groups, _group("Pages", public)]


def start_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the start page shows, on top of the admin's own context."""
    access = access_of(request)
    context |= {"access": access, "now": get_clock().now(), "cash": _cash(access)}
    if access.provider_ids:
        context |= _provider_figures(access)
    if access.buyer_ids:
        context |= _buyer_figures(access)
    if access.party_ids:
        context |= {
            "fills": [fill for party in access.party_ids for fill in _fills(party)][:ROWS],
            "statements": list_statements(access.party_ids)[:ROWS],
        }
    if access.reads_everything:
        context |= _market_figures()
    return context


def _item(title: str, icon: str, name: str) -> Item:
    return {"title": title, "icon": icon, "link": lambda _request: reverse(name)}


def _table(title: str, icon: str, table: str) -> Item:
    return _item(title, icon, f"admin:{table}_changelist")


def _group(title: str, items: list[Item]) -> Item:
    return {"title": title, "separator": bool(title), "items": items}


_PROVIDER = [
    _item("Post an offer", "add_circle", "admin:exchange_offer_add"),
    _table("Offers", "sell", "exchange_offer"),
    _item("Obligations", "event_available", "admin:exchange_obligations"),
    _table("Sites", "factory", "exchange_site"),
    _table("Capacity", "bolt", "exchange_capacitydeclaration"),
    _table("Qualifications", "verified", "exchange_qualification"),
    _table("Force majeure", "thunderstorm", "settlement_forcemajeure"),
    _table("Share schedules", "pie_chart", "settlement_shareschedule"),
]
_PARTY = [
    _table("Orders", "list_alt", "exchange_order"),
    _table("Fills", "handshake", "exchange_fill"),
    _table("Settled positions", "task_alt", "settlement_positionsettlement"),
    _table("Statements", "description", "settlement_statement"),
    _item("Payments", "send_money", "payments"),
    _item("Invoices", "request_quote", "invoices"),
    _table("Accounts to be paid at", "account_balance", "settlement_payoutaccount"),
    _table("Balances", "account_balance_wallet", "ledger_account"),
    _table("Transfers", "payments", "ledger_transfer"),
    _table("Meters", "speed", "settlement_meter"),
    _table("Keys of meters", "key_vertical", "settlement_meterkey"),
    _item("Usage by minute", "bar_chart", "usage"),
    _item("Usage records", "receipt", "usage-records"),
    _item("Usage kept aside", "report", "usage-quarantine"),
    _table("Discrepancy cases", "balance", "settlement_discrepancycase"),
    _table("Disputes", "contract", "settlement_dispute"),
    _table("Notices", "notifications", "settlement_partynotice"),
    _table("API keys", "key", "ledger_apikey"),
]
_EVERYTHING = {
    "Market": [
        _table("Products", "category", "exchange_product"),
        _table("Contracts", "event", "exchange_contract"),
        _table("Listing calendar", "calendar_month", "exchange_listingrule"),
        _table("Two-operator acts", "gavel", "exchange_operatordecision"),
        _table("Fee schedules", "percent", "exchange_feeschedule"),
        _table("Trade groups", "group", "exchange_tradegroup"),
        _table("Offers", "sell", "exchange_offer"),
        _table("Orders", "list_alt", "exchange_order"),
        _table("Fills", "handshake", "exchange_fill"),
        _table("Prevented matches", "block", "exchange_preventedmatch"),
        _item("Obligations", "event_available", "admin:exchange_obligations"),
        _table("Qualifications", "verified", "exchange_qualification"),
        _table("Capacity", "bolt", "exchange_capacitydeclaration"),
        _table("Command log", "terminal", "exchange_intake"),
        _table("Set-aside commands", "warning", "exchange_setaside"),
    ],
    "Settlement": [
        _table("Runs", "play_circle", "settlement_settlementrun"),
        _table("Jobs", "checklist", "settlement_settlementjob"),
        _table("Statements", "description", "settlement_statement"),
        _table("Auditors' opinions", "fact_check", "settlement_statementopinion"),
        _table("Auditors' keys", "vpn_key", "settlement_auditorkey"),
        _table("Disputes", "contract", "settlement_dispute"),
        _table("Settlement calendars", "calendar_month", "settlement_settlementcalendar"),
        _table("Force majeure", "thunderstorm", "settlement_forcemajeure"),
        _table("Meters", "speed", "settlement_meter"),
        _table("Keys of meters", "key_vertical", "settlement_meterkey"),
        _item("Usage by minute", "bar_chart", "usage"),
        _item("Usage records", "receipt", "usage-records"),
        _item("Usage kept aside", "front_hand", "usage-quarantine"),
        _table("Usage conflicts", "report", "settlement_usageconflict"),
        _table("Unmatched usage", "link_off", "settlement_unmatchedusage"),
        _table("Reconciliations", "compare_arrows", "settlement_pairreconciliation"),
        _table("Discrepancy cases", "balance", "settlement_discrepancycase"),
        _table("Bias decisions", "rule", "settlement_biasdecision"),
        _table("Notices", "notifications", "settlement_partynotice"),
    ],
    "Payments": [
        _table("Nettings", "hub", "settlement_nettingset"),
        _table("Instructions", "send_money", "settlement_paymentinstruction"),
        _table("Accounts to be paid at", "account_balance", "settlement_payoutaccount"),
        _table("Payment files", "file_export", "settlement_paymentfile"),
        _table("Confirmations", "fact_check", "settlement_confirmationimport"),
        _table("Returns", "assignment_return", "settlement_paymentreturn"),
        _table("Invoice rows", "request_quote", "settlement_invoicerow"),
    ],
    "Ledger": [
        _table("Parties", "groups", "ledger_party"),
        _table("People", "person", "ledger_user"),
        _table("API keys", "key", "ledger_apikey"),
        _table("Transfers", "payments", "ledger_transfer"),
        _table("Accounts", "account_balance_wallet", "ledger_account"),
        _table("Transactions", "receipt_long", "ledger_transaction"),
        _table("Batches", "layers", "ledger_batch"),
        _table("Action log", "history", "ledger_actionlog"),
        _table("Signing keys", "vpn_key", "ledger_signingkey"),
    ],
}


def _cash(access: Access) -> list[Account]:
    """The cash accounts of the person's parties."""
    own = Account.objects.filter(party_id__in=access.party_ids, role=Role.CASH, asset__kind=AssetKind.CURRENCY)
    return list(own.select_related("party", "asset").order_by("party__code", "asset__code"))


def _provider_figures(access: Access) -> dict[str, Any]:
    exposures = list_exposures(AHEAD, provider_ids=access.provider_ids)
    return {
        "exposures": exposures[:ROWS],
        "exposures_count": len(exposures),
        "sold_tokens": sum(each.sold_tokens for each in exposures),
        "offered_tokens": sum(each.obligation.offered_tokens for each in exposures),
        "free_tokens": sum(each.free_tokens for each in exposures),
    }


def _buyer_figures(access: Access) -> dict[str, Any]:
    positions = [position for party in access.buyer_ids for position in list_own_positions(party, states=AHEAD)]
    orders = [order for party in access.buyer_ids for order in list_orders(party, limit=ROWS)]
    return {
        "positions": positions[:ROWS],
        "orders": [(order, price_writer(order.tick_micros)(order.price_ticks)) for order in orders[:ROWS]],
    }


def _fills(party_id: int) -> list[tuple[Any, str]]:
    fills = list_fills(party_id, limit=ROWS)
    return [(fill, price_writer(fill.tick_micros)(fill.price_ticks)) for fill in fills]


def _market_figures() -> dict[str, Any]:
    contracts = list_contracts(states=AHEAD)
    runs = list(list_runs()[:ROWS])
    progress = progress_of([run.id for run in runs])
    escrow = Account.objects.filter(role=Role.ESCROW).values("asset__code").annotate(total=Sum("balance"))
    return {
        "states": [(state.value, sum(contract.state == state for contract in contracts)) for state in AHEAD],
        "halted": [contract for contract in contracts if contract.state == ContractState.HALTED],
        "sequencer": get_sequencer(),
        "escrow": escrow.order_by("asset__code"),
        "runs": [(run, progress[run.id]) for run in runs],
        "waiting_decisions": OperatorDecision.objects.filter(state=DecisionState.REQUESTED).count(),
        "waiting_transfers": Transfer.objects.filter(state=TransferState.REQUESTED).count(),
        "failed_jobs": SettlementJob.objects.filter(state=JobState.FAILED).count(),
        "actions": ActionLog.objects.order_by("-id")[:ROWS],
    }
