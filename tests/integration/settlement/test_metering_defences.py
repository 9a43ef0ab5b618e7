"""What the database itself keeps true of meters' keys, usage and cases, and an earlier release's usage taken over."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection

from settlement.models import (
    CaseKind,
    CaseState,
    DiscrepancyCase,
    Meter,
    MeterKey,
    PendingRollup,
    UsageBatch,
    UsageConflict,
    UsageDedup,
    UsageEvent,
)
from tests.conftest import DatabaseUrls
from tests.integration.settlement.trading_day import NOW, TradingDay

MIGRATION = "0003_embedded_broker"
FIRST_RELEASE = """
INSERT INTO ledger_party (id, code, name, kind, created_at)
VALUES (1, 'acme', 'Acme', 'provider', now()), (2, 'ada', 'Ada', 'buyer', now());
INSERT INTO settlement_meter (id, party_id, code, side, registered_at)
VALUES (1, 1, 'meter/acme', 'provider', now()), (2, 2, 'meter/ada', 'buyer', now());
SELECT settlement_ensure_usage_partition('2026-12-01');
INSERT INTO settlement_usageevent (window_start, accepted_at, meter_id, event_id, kind, contract_id, buyer_id,
                                   provider_id, request_id, retry_of, refusal_reason, family, raw, content_hash,
                                   buckets, millitokens, status, quarantine_reason, received_at)
SELECT '2026-12-01T14:00Z', '2026-12-01T14:05Z', meter, event, kind, 7, 2, 1, event, '', reason, 'tokenbourse',
       '{"input": 10}', sha256(event::bytea),
       '{"input_uncached": 10, "input_cache_read": 0, "input_cache_write_short": 0, "input_cache_write_long": 0,
         "input_tool": 0, "output_visible": 2, "output_reasoning": 0, "unexplained": 0}', 18000, status, aside, at
  FROM (VALUES (1, 'a', 'completed', '', 'accepted', '', '2026-12-01T23:59:59Z'::timestamptz),
               (1, 'b', 'refused', 'capacity', 'accepted', '', '2026-12-02T00:00:00Z'),
               (2, 'a', 'completed', '', 'quarantined', 'outside_window', '2026-12-02T00:00:00Z'))
       AS old(meter, event, kind, reason, status, aside, at);
INSERT INTO settlement_usagededup (meter_id, event_id, content_hash, usage_event_id)
SELECT meter_id, event_id, content_hash, id FROM settlement_usageevent;
INSERT INTO settlement_usageconflict (meter_id, event_id, first_hash, content_hash, raw, received_at)
VALUES (1, 'a', sha256('a'), sha256('x'), '{"id": "a"}', now());
"""


def test_an_earlier_release_keeps_its_usage(empty_database: DatabaseUrls) -> None:
    call_command("migrate", "settlement", MIGRATION, database="owner", verbosity=0)
    with psycopg.connect(empty_database.owner_url) as owner:
        owner.execute(FIRST_RELEASE)
    call_command("migrate", "settlement", database="owner", verbosity=0)
    events = UsageEvent.objects.order_by("batch_id", "place")
    told = events.values_list("meter_id", "event_id", "kind", "refusal_reason", "quarantine_reason", "output_visible")
    assert list(told) == [
        (1, "a", "completed", None, None, 2),
        (1, "b", "refused", "capacity", None, 2),
        (2, "a", "completed", None, "outside_window", 2),
    ]
    batches = UsageBatch.objects.order_by("id")
    assert list(batches.values_list("party_id", "accepted", "quarantined")) == [(1, 1, 0), (1, 1, 0), (2, 0, 1)]
    assert list(events.values_list("batch_id", flat=True)) == [batch.id for batch in batches]
    assert PendingRollup.objects.count() == 2
    identities = set(UsageDedup.objects.values_list("meter_id", "event_id", "batch_id", "place"))
    assert identities == set(events.values_list("meter_id", "event_id", "batch_id", "place"))
    assert bytes(UsageConflict.objects.get().raw) == b'{"id": "a"}'


def test_the_tables_go_back_only_while_nothing_came(empty_database: DatabaseUrls) -> None:
    call_command("migrate", "settlement", database="owner", verbosity=0)
    call_command("migrate", "settlement", MIGRATION, database="owner", verbosity=0)
    with psycopg.connect(empty_database.owner_url) as owner:
        owner.execute(FIRST_RELEASE)
    call_command("migrate", "settlement", database="owner", verbosity=0)
    with pytest.raises(DatabaseError, match="usage has been received"):
        call_command("migrate", "settlement", MIGRATION, database="owner", verbosity=0)


@pytest.fixture
def key(day: TradingDay) -> MeterKey:
    meter = Meter.objects.get(code="meter/provider-1")
    return MeterKey.objects.create(
        meter=meter, thumbprint="t", public_key=bytes(32), registered_at=NOW, registered_by="tests"
    )


def test_a_key_is_revoked_once_and_changes_in_no_other_way(key: MeterKey) -> None:
    with pytest.raises(DatabaseError, match="permission denied"):
        MeterKey.objects.update(public_key=bytes(32))
    MeterKey.objects.update(revoked_at=NOW, revoked_by="tests")
    with pytest.raises(DatabaseError, match="once"):
        MeterKey.objects.update(revoked_at=None, revoked_by="")
    with pytest.raises(DatabaseError, match="permission denied"):
        MeterKey.objects.all().delete()


def test_a_meter_stays_whose_it_is(day: TradingDay) -> None:
    with pytest.raises(DatabaseError, match="permission denied"):
        Meter.objects.update(side="gateway")
    Meter.objects.update(signature_required=True)


@pytest.fixture
def case(day: TradingDay) -> DiscrepancyCase:
    return DiscrepancyCase.objects.create(
        contract_id=day.contract.id,
        buyer_id=day.parties["buyer-1"].id,
        provider_id=day.parties["provider-1"].id,
        kind=CaseKind.FIGURES_DIFFER,
        opened_at=NOW,
        changed_at=NOW,
        requests=1,
        provider_millitokens=2,
        buyer_millitokens=1,
        settled_millitokens=1,
    )


PROPOSED = {"state": CaseState.PROPOSED, "ruling": "buyer", "proposed_by": "one"}
REFUSED: list[tuple[list[dict[str, Any]], str]] = [
    ([{"state": CaseState.DECIDED}], "cannot go from open"),
    ([{"state": CaseState.PROPOSED}], "proposed by one"),
    ([PROPOSED, {"state": CaseState.DECIDED, "decided_by": "one"}], "case_decided_by_another"),
    ([PROPOSED, {"state": CaseState.DECIDED, "decided_by": "two", "ruling": "provider"}], "as it stands"),
    ([PROPOSED, {"state": CaseState.DECIDED}], "confirmed"),
    ([PROPOSED, {"state": CaseState.DECIDED, "decided_by": "two"}, {"ruling": "provider"}], "as it stands"),
    (
        [PROPOSED, {"state": CaseState.DECIDED, "decided_by": "two"}, {"state": CaseState.OPEN}],
        "cannot go from decided",
    ),
    ([{"buyer_id": 1}], "permission denied"),
]


@pytest.mark.parametrize(("steps", "reason"), REFUSED)
def test_a_case_moves_as_it_may_and_in_no_other_way(
    case: DiscrepancyCase, steps: list[dict[str, Any]], reason: str
) -> None:
    for step in steps[:-1]:
        DiscrepancyCase.objects.update(**step)
    with pytest.raises(DatabaseError, match=reason):
        DiscrepancyCase.objects.update(**steps[-1])


@pytest.mark.parametrize(
    "started",
    [
        {"state": CaseState.DECIDED, "ruling": "provider", "proposed_by": "one", "decided_by": "two"},
        {"ruling": "provider"},
        {"proposed_by": "one"},
        {"decided_by": "two"},
    ],
)
def test_a_case_begins_open_and_without_a_ruling(case: DiscrepancyCase, started: dict[str, Any]) -> None:
    begun = DiscrepancyCase.objects.filter(pk=case.pk).values().get() | {"id": None, "kind": CaseKind.LOST_END}
    with pytest.raises(DatabaseError, match="begins open"):
        DiscrepancyCase.objects.create(**begun | started)
    DiscrepancyCase.objects.create(**begun)


def test_a_case_lives_on(case: DiscrepancyCase) -> None:
    for step in (
        {"state": CaseState.RESOLVED},
        {"state": CaseState.OPEN},
        {"state": CaseState.ANSWERED},
        PROPOSED,
        {"state": CaseState.ANSWERED, "ruling": "", "proposed_by": ""},
        PROPOSED,
        {"state": CaseState.DECIDED, "decided_by": "two"},
        {"requests": 2},
    ):
        DiscrepancyCase.objects.update(**step)


BAD_EVENTS = ["kind = 'other'", "refusal_reason = 'capacity'", "unexplained = 1", "output_visible = -1", "requests = 2"]


@pytest.mark.parametrize("change", BAD_EVENTS)
def test_an_event_that_contradicts_itself_is_refused(day: TradingDay, change: str) -> None:
    columns, value = change.split(" = ")
    with connection.cursor() as cursor:
        cursor.execute("SELECT settlement_ensure_usage_partition('2026-12-01')")
        plain = {
            "received_at": "'2026-12-01T12:00Z'", "batch_id": "1", "accepted_at": "now()", "event_time": "now()",
            "meter_id": "1", "contract_id": "1", "buyer_id": "1", "provider_id": "1", "place": "0",
            "kind": "'completed'", "event_id": "'e'", "content_hash": "''", "request_id": "'r'",
        }  # fmt: skip
        for given in (plain | {columns: value}, plain):
            statement = f"INSERT INTO settlement_usageevent ({', '.join(given)}) VALUES ({', '.join(given.values())})"
            if given is plain:
                cursor.execute(statement)
            else:
                with pytest.raises(DatabaseError, match="check constraint"):
                    cursor.execute(statement)
