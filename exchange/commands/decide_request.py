"""The second operator decides what the first one asked for; what is approved goes into the line."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from exchange.commands.request_decision import MAX_REASON, check_decision
from exchange.models import (
    DecisionKind,
    DecisionState,
    IntakeKind,
    Offer,
    OfferState,
    OperatorDecision,
    ProviderDefault,
    Qualification,
)
from exchange.qualifications import lock_provider
from exchange.sequencer.intake import Submission, submit, submit_to_shards
from ledger.actions import record_action
from ledger.chart import AccountKey, Role
from ledger.errors import AlreadyDecided, NotFound, ReasonMissing
from ledger.models import Account
from ledger.parties.access import check_another_person
from ledger.restrictions import freeze_account
from ledger.texts import check_text


@transaction.atomic
def approve_decision(decision_id: int, *, actor: str, now: datetime) -> OperatorDecision:
    """Approve a request and carry it out. One that is approved already is returned as it is.

    A default counts from `now`: the provider's cash is frozen and its qualifications are revoked at once, and its
    orders go when the sequencers come to it. Trades are taken back by the sequencer alone.

    Raises `NotFound`, `NeedsAnotherPerson`, `AlreadyDecided` when it was refused, and what `request_decision` raises
    when it cannot be carried out any more.
    """
    decision = _lock(decision_id)
    if decision.state == DecisionState.APPROVED:
        return decision
    _check_decidable(decision, actor)
    check_decision(DecisionKind(decision.kind), decision.subject)
    if decision.kind == DecisionKind.DEFAULT_PROVIDER:
        decision.seqs = _default(decision, actor, now)
    else:
        decision.seqs = [submit(_submission(decision, actor), now=now).seq]
    return _decide(decision, DecisionState.APPROVED, "approve", actor, now)


@transaction.atomic
def refuse_decision(decision_id: int, reason: str, *, actor: str, now: datetime) -> OperatorDecision:
    """Refuse a request, for a reason. One that is refused already is returned as it is.

    Raises `NotFound`, `NeedsAnotherPerson`, `ReasonMissing`, and `AlreadyDecided` when it was approved.
    """
    if not reason.strip():
        raise ReasonMissing("Refusing a request needs a reason.", field="reason")
    check_text(reason, "reason", MAX_REASON)
    decision = _lock(decision_id)
    if decision.state == DecisionState.REFUSED:
        return decision
    _check_decidable(decision, actor)
    decision.refusal = reason
    return _decide(decision, DecisionState.REFUSED, "refuse", actor, now)


def _lock(decision_id: int) -> OperatorDecision:
    found = OperatorDecision.objects.select_for_update().filter(pk=decision_id).first()
    if found is None:
        raise NotFound(f"There is no request {decision_id}.", decision=str(decision_id))
    return found


def _check_decidable(decision: OperatorDecision, actor: str) -> None:
    if decision.state != DecisionState.REQUESTED:
        raise AlreadyDecided(
            f"Request {decision.pk} is {decision.state} already, decided by {decision.decided_by}.",
            decision=str(decision.pk),
            state=decision.state,
        )
    check_another_person(actor, decision.requested_by, asked_for="this", decision=str(decision.pk))


def _submission(decision: OperatorDecision, actor: str) -> Submission:
    payload = decision.payload | {"reason": decision.reason, "decision_id": decision.pk}
    return Submission(
        kind=IntakeKind(decision.kind),
        contract_id=payload.pop("contract_id", None),
        party_id=payload.pop("provider_id", None),
        actor=actor,
        payload=payload,
    )


def _default(decision: OperatorDecision, actor: str, now: datetime) -> list[int]:
    """From now on nothing leaves the provider's cash and it offers nothing; its orders go shard by shard.

    The ledger's head comes last: what is waited for here, offers that are being posted or the line, is not waited for
    with the head in hand.
    """
    provider_id = decision.payload["provider_id"]
    lock_provider(provider_id)
    ProviderDefault.objects.create(provider_id=provider_id, decision=decision, defaulted_at=now)
    Qualification.objects.filter(provider_id=provider_id, revoked_at=None).update(revoked_at=now)
    Offer.objects.filter(provider_id=provider_id).exclude(state=OfferState.WITHDRAWN).update(state=OfferState.WITHDRAWN)
    seqs = submit_to_shards(_submission(decision, actor), now=now)
    cash = Account.objects.filter(party_id=provider_id, role=Role.CASH, closed=False)
    for currency_id in cash.order_by("asset_id").values_list("asset_id", flat=True):
        key = AccountKey(provider_id, currency_id, Role.CASH)
        freeze_account(key, reason=f"default: {decision.reason}", actor=actor, now=now)
    return seqs


def _decide(
    decision: OperatorDecision, state: DecisionState, action: str, actor: str, now: datetime
) -> OperatorDecision:
    decision.state, decision.decided_by, decision.decided_at = state, actor, now
    decision.save(update_fields=["state", "decided_by", "decided_at", "refusal", "seqs"])
    record_action(
        actor=actor,
        action=f"{action}_{decision.kind}",
        subject=f"decision:{decision.pk}",
        reason=decision.refusal or decision.reason,
        now=now,
        details={"subject": decision.subject, "requested_by": decision.requested_by, "commands": decision.seqs},
    )
    return decision
