"""Reconciling contracts as their usage comes in, so that both sides see their discrepancies before money moves.

Settlement never waits for this: a run reconciles by itself, with the same core and the same rules.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from ledger.actions import record_action
from settlement.commands.open_or_update_case import OpenOrUpdateCase, open_or_update_case
from settlement.market import SettledContract, load_contracts, load_positions
from settlement.metering.bias_register import RegisterKey, judge_pair, lock_decisions
from settlement.metering.buckets import SETTLED_BUCKETS
from settlement.metering.pair_rules import load_rules
from settlement.metering.reconcile import Reconciliation
from settlement.metering.reconcile_queue import due_contracts, forget_finished, leave, postpone, turn_of
from settlement.metering.records import CaseKind, Side
from settlement.metering.rules_of_pair import PairRules
from settlement.metering.usage_records import PairUsage, read_pairs
from settlement.models import PairReconciliation
from settlement.rules import RULES_VERSION
from settlement.statements.canonical import canonical_digest

logger = logging.getLogger(__name__)

ACTOR = "reconciliation"
CONTRACTS_A_STEP = 50
_LOCK = 0x746B_0002 << 32  # of contracts, by the low half of their id


def reconcile_due(*, now: datetime, limit: int = CONTRACTS_A_STEP) -> int:
    """Reconcile the contracts that wait longest; how many there were. What fails is logged and goes to the end."""
    forget_finished()
    waiting = due_contracts(now=now, limit=limit)
    for contract_id in waiting:
        try:
            _reconcile(contract_id, now, only_waiting=True)
        except Exception:
            logger.exception("contract %d could not be reconciled", contract_id)
            postpone(contract_id, now=now)
    return len(waiting)


def reconcile_contract(contract_id: int, *, now: datetime) -> None:
    """Reconcile every pair of a contract of which anything changed, and bring its cases and tolerances up to date.

    One at a time for a contract. The same inputs again leave nothing behind.
    """
    _reconcile(contract_id, now, only_waiting=False)


@transaction.atomic
def _reconcile(contract_id: int, now: datetime, *, only_waiting: bool) -> None:
    """`only_waiting`: not if somebody else did it while this one waited for the lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK | contract_id & 0xFFFF_FFFF])
    turn = turn_of(contract_id)
    if turn is None and only_waiting:
        return
    contract = load_contracts([contract_id])[contract_id]
    rules = load_rules(contract)
    sold = {(position.buyer.id, position.provider.id) for position in load_positions(contract)}
    changed = []
    for usage in read_pairs(contract):
        of_pair = rules.of_pair(usage.buyer_id, usage.provider_id)
        digest = _input_digest(usage, of_pair)
        last = _last(contract_id, usage)
        if last is not None and bytes(last.input_digest) == digest:
            continue
        reconciled = rules.reconcile(usage.records, of_pair)
        _keep(contract, usage, of_pair, reconciled, digest, 1 if last is None else last.revision + 1, now)
        _update_cases(contract_id, usage, reconciled if _deal(usage, sold) else Reconciliation(), now)
        changed.append(RegisterKey(usage.provider_id, usage.buyer_id, contract.product_id))
    _judge(changed, contract, now)
    if turn is not None:
        leave(contract_id, turn=turn)


def _deal(usage: PairUsage, sold: Collection[tuple[int, int]]) -> bool:
    """Whether two parties have anything to do with each other: they traded, or both say so. Else one could open cases
    against everybody."""
    sides = {record.side for record in usage.records}
    return (usage.buyer_id, usage.provider_id) in sold or sides >= {Side.BUYER, Side.PROVIDER}


def _last(contract_id: int, usage: PairUsage) -> PairReconciliation | None:
    rows = PairReconciliation.objects.filter(
        contract_id=contract_id, buyer_id=usage.buyer_id, provider_id=usage.provider_id
    )
    return rows.order_by("-revision").first()


def _input_digest(usage: PairUsage, rules: PairRules) -> bytes:
    return canonical_digest(
        {"rules_version": RULES_VERSION, "events": usage.digest, "rules": rules.as_dict()},
    )


def _keep(
    contract: SettledContract,
    usage: PairUsage,
    rules: PairRules,
    reconciled: Reconciliation,
    digest: bytes,
    revision: int,
    now: datetime,
) -> None:
    bias = reconciled.bias
    PairReconciliation.objects.create(
        contract_id=contract.id,
        buyer_id=usage.buyer_id,
        provider_id=usage.provider_id,
        revision=revision,
        product_id=contract.product_id,
        delivery_start=contract.delivery_start,
        reconciled_at=now,
        input_digest=digest,
        tolerance_zero=rules.tolerance_zero,
        difference_millitokens=bias.difference_millitokens,
        tolerance_millitokens=bias.tolerance_millitokens,
        compared_requests=bias.compared,
        differing_requests=bias.differing,
        figures=_figures(usage, rules, reconciled),
    )


def _figures(usage: PairUsage, rules: PairRules, reconciled: Reconciliation) -> dict[str, Any]:
    """What else is worth keeping, as JSON: integers as strings."""
    buckets = zip(SETTLED_BUCKETS, reconciled.buckets, strict=True)
    return {
        "events": str(usage.events),
        "corrections": str(usage.corrections),
        "signed_events": _texts(usage.signed),
        "requests": str(len(reconciled.requests)),
        "verdicts": _texts(reconciled.verdicts),
        "lost_ends": _texts(reconciled.lost_ends),
        "settled_millitokens": str(reconciled.settled_millitokens),
        "buckets": {
            bucket.value: {
                "provider": str(totals.provider),
                "buyer": str(totals.buyer),
                "gateway": str(totals.gateway),
                "settled": str(totals.settled),
            }
            for bucket, totals in buckets
        },
        "bias": reconciled.bias.as_dict(),
        "rules": rules.as_dict(),
    }


def _texts(counts: Mapping[Any, int]) -> dict[str, str]:
    return {word.value: str(count) for word, count in counts.items()}


def _update_cases(contract_id: int, usage: PairUsage, reconciled: Reconciliation, now: datetime) -> None:
    found = {discrepancy.kind: discrepancy for discrepancy in reconciled.discrepancies}
    for kind in CaseKind:
        command = OpenOrUpdateCase(contract_id, usage.buyer_id, usage.provider_id, kind, found.get(kind))
        open_or_update_case(command, actor=ACTOR, now=now)


def _judge(pairs: list[RegisterKey], contract: SettledContract, now: datetime) -> None:
    """Last, so that nobody waits long for the lock, and whoever comes second sees both."""
    if not pairs:
        return
    lock_decisions()
    for key in pairs:
        zeroed = judge_pair(key, until=contract.delivery_start, actor=ACTOR, now=now)
        if zeroed is not None:
            record_action(
                actor=ACTOR,
                action="zero_tolerance",
                subject=f"bias:{zeroed.pk}",
                reason="The figures of the pair lean one way inside the tolerance.",
                now=now,
                details={name: str(value) for name, value in key._asdict().items()},
            )
