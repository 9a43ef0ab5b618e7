"""Whose signature a call carries, and the evidence that stays."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import Error, connection, transaction

from ledger.errors import NotFound
from ledger.models import ActionLog
from settlement.commands.register_meter_key import RegisterMeterKey, register_meter_key
from settlement.commands.require_signatures import RequireSignatures, require_signatures
from settlement.commands.revoke_meter_key import RevokeMeterKey, revoke_meter_key
from settlement.errors import InvalidMeterKey, InvalidSignature, MeterKeyMissing
from settlement.metering.signatures import sign, thumbprint
from settlement.metering.signed_calls import Signer, find_signer, keep_signed
from settlement.metering.verify_call import main
from settlement.models import Meter, MeterKey, SignedBatch, UsageBatch
from settlement.selectors.usage_batches import get_signed_call, get_usage_batch, list_usage_batches
from tests.integration.settlement.trading_day import ACTOR, NOW, TradingDay, usage

ROOT = Path(__file__).parents[3]
PATH = "/api/v1/usage-events"
TYPE = "application/cloudevents-batch+json"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
KEY_ID = thumbprint(PUBLIC)
BODY = gzip.compress(json.dumps([usage("r1", 5), usage("r2", 6)]).encode(), mtime=0)


@pytest.fixture
def key(day: TradingDay) -> MeterKey:
    return register_meter_key(RegisterMeterKey(meter("provider-1").pk, PUBLIC), actor=ACTOR, now=NOW)


def meter(party: str) -> Meter:
    return Meter.objects.get(code=f"meter/{party}")


def headers(*, body: bytes = BODY, created: int = int(NOW.timestamp()), **more: str) -> dict[str, str]:
    made = sign(PRIVATE, key_id=KEY_ID, path=PATH, content_type=TYPE, body=body, created=created)
    return {"content-type": TYPE, "content-encoding": "gzip", **made, **more}


def found(day: TradingDay, given: dict[str, str], *, party: str = "provider-1", body: bytes = BODY) -> Signer | None:
    return find_signer(given, path=PATH, body=body, party_id=day.parties[party].id, now=day.clock.at)


def keep(day: TradingDay, batch_id: int = 7) -> UsageBatch:
    """A signed call as intake keeps it."""
    signer = found(day, headers())
    assert signer is not None
    with transaction.atomic():
        batch = UsageBatch.objects.create(
            id=batch_id,
            party_id=day.parties["provider-1"].id,
            actor=ACTOR,
            received_at=day.clock.at,
            body_digest=bytes(32),
            accepted=2,
            duplicates=0,
            conflicts=0,
            quarantined=0,
            rejected=0,
        )
        keep_signed(batch_id, signer, path=PATH, headers=headers(), body=BODY)
    return batch


def test_the_signer_is_found_by_its_key(day: TradingDay, key: MeterKey) -> None:
    assert found(day, {"content-type": TYPE}) is None
    signer = found(day, headers())
    assert signer is not None
    assert signer[:3] == (key.pk, key.meter_id, "meter/provider-1")


def test_whose_key_it_is_not_nobody_learns(day: TradingDay, key: MeterKey) -> None:
    told = set()
    with pytest.raises(InvalidSignature) as refusal:  # another party's
        found(day, headers(), party="provider-2")
    told.add(refusal.value.message)
    revoke_meter_key(RevokeMeterKey(key.meter_id, KEY_ID), actor=ACTOR, now=NOW)
    with pytest.raises(InvalidSignature) as refusal:  # revoked, from this instant on
        found(day, headers())
    told.add(refusal.value.message)
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    other_id = thumbprint(other.public_key().public_bytes_raw())
    unknown = headers() | sign(
        other, key_id=other_id, path=PATH, content_type=TYPE, body=BODY, created=int(NOW.timestamp())
    )
    with pytest.raises(InvalidSignature) as refusal:
        found(day, unknown)
    told.add(refusal.value.message)
    assert len(told) == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        {"content-type": "application/json"},
        {"content-digest": "sha-256=:" + "A" * 43 + "=:"},
        {"signature": "sig1=:" + "A" * 86 + "==:"},
        {"signature-input": "sig1=()"},
    ],
    ids=lambda spoilt: next(iter(spoilt)),
)
def test_a_wrong_signature_is_no_signature(day: TradingDay, key: MeterKey, spoilt: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature):
        found(day, headers() | spoilt)
    with pytest.raises(InvalidSignature):
        found(day, headers(), body=BODY[:-1])


def test_the_clock_is_the_markets(day: TradingDay, key: MeterKey) -> None:
    given = headers()
    day.clock.at = NOW + timedelta(minutes=5)
    assert found(day, given) is not None
    day.clock.at = NOW + timedelta(minutes=5, seconds=1)
    with pytest.raises(InvalidSignature, match="-301 seconds"):
        found(day, given)


def test_what_is_kept_proves_the_call_offline(day: TradingDay, key: MeterKey, tmp_path: Path) -> None:
    keep(day)
    batch = get_usage_batch(7, [day.parties["provider-1"].id])
    call = get_signed_call(batch)
    assert base64.b64decode(call.body) == BODY
    file = tmp_path / "call.json"
    file.write_text(json.dumps({name: getattr(call, name) for name in call.__struct_fields__}))
    command = [sys.executable, "-m", "settlement.metering.verify_call", str(file), "--key", KEY_ID]
    ran = subprocess.run(
        [*command, "--body", str(tmp_path / "events")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert ran.stdout.splitlines()[-1] == "VERIFIED"
    assert f"key      {KEY_ID}\n" in ran.stdout
    assert "events   2\n" in ran.stdout
    assert (tmp_path / "events").read_bytes() == gzip.decompress(BODY)


def test_evidence_is_the_own_partys(day: TradingDay, key: MeterKey) -> None:
    keep(day)
    with pytest.raises(NotFound):
        get_usage_batch(7, [day.parties["provider-2"].id])
    assert [(each.pk, each.signed) for each in list_usage_batches()] == [(7, True)]  # type: ignore[attr-defined]
    assert not list_usage_batches([day.parties["buyer-1"].id]).exists()


def test_the_evidence_cannot_be_changed(day: TradingDay, key: MeterKey) -> None:
    keep(day)
    for statement in (
        "UPDATE settlement_signedbatch SET body = ''",
        "DELETE FROM settlement_signedbatch",
        "UPDATE settlement_meterkey SET public_key = decode(repeat('00', 32), 'hex')",
        "UPDATE settlement_meterkey SET meter_id = meter_id + 1",
        "DELETE FROM settlement_meterkey",
        "UPDATE settlement_meter SET party_id = party_id + 1",
    ):
        with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    revoke_meter_key(RevokeMeterKey(key.meter_id, KEY_ID), actor=ACTOR, now=NOW)
    with pytest.raises(Error), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE settlement_meterkey SET revoked_at = NULL, revoked_by = ''")
    assert SignedBatch.objects.get().meter_key_id == key.pk


def test_a_key_is_registered_once_for_one_meter(day: TradingDay, key: MeterKey) -> None:
    again = register_meter_key(RegisterMeterKey(key.meter_id, PUBLIC), actor="another", now=NOW + timedelta(hours=1))
    assert (again.pk, again.registered_by) == (key.pk, ACTOR)
    with pytest.raises(InvalidMeterKey, match="Another meter"):
        register_meter_key(RegisterMeterKey(meter("buyer-1").pk, PUBLIC), actor=ACTOR, now=NOW)
    with pytest.raises(InvalidMeterKey):
        register_meter_key(RegisterMeterKey(meter("buyer-1").pk, bytes(32)), actor=ACTOR, now=NOW)
    with pytest.raises(NotFound):
        register_meter_key(RegisterMeterKey(10**9, PUBLIC), actor=ACTOR, now=NOW)
    assert ActionLog.objects.filter(action="register_meter_key").count() == 1


def test_a_meter_is_held_to_signing_only_with_a_key(day: TradingDay) -> None:
    command = RequireSignatures(meter("provider-1").pk, required=True, reason="contract")
    with pytest.raises(MeterKeyMissing):
        require_signatures(command, actor=ACTOR, now=NOW)
    register_meter_key(RegisterMeterKey(command.meter_id, PUBLIC), actor=ACTOR, now=NOW)
    for _ in range(2):
        assert require_signatures(command, actor=ACTOR, now=NOW).signature_required
    back = RequireSignatures(command.meter_id, required=False)
    assert not require_signatures(back, actor=ACTOR, now=NOW).signature_required
    acts = ActionLog.objects.filter(action__in=["require_signatures", "allow_unsigned_calls"]).order_by("id")
    assert list(acts.values_list("action", "reason")) == [
        ("require_signatures", "contract"),
        ("allow_unsigned_calls", ""),
    ]
    with pytest.raises(NotFound):
        require_signatures(RequireSignatures(10**9, required=False), actor=ACTOR, now=NOW)


def evidence(day: TradingDay) -> dict[str, Any]:
    call = get_signed_call(keep(day))
    return {name: getattr(call, name) for name in call.__struct_fields__}


def test_every_change_of_the_evidence_shows(
    day: TradingDay, key: MeterKey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = evidence(day)
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    body = base64.b64encode(gzip.compress(b"[]")).decode()
    in_headers = {
        "content-type": "application/json",
        "content-digest": "sha-256=::",
        "signature": "",
        "signature-input": good["headers"]["signature-input"].replace("created=1", "created=2"),
        "content-encoding": "identity",
    }
    changes: list[dict[str, Any]] = [
        {"body": body},
        {"body": body, "digest": hashlib.sha256(base64.b64decode(body)).hexdigest()},
        {"digest": "0" * 64},
        {"path": "/api/v1/usage-event"},
        {"method": "PUT"},
        {"schema": "x"},
        {"received_at": "2026-12-01T10:05:02Z"},
        {"received_at": "2026-12-01T10:00:00"},
        {"received_at": "yesterday"},
        {"public_key": base64.urlsafe_b64encode(other).decode().rstrip("=")},
        {"public_key": base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")},
        {"headers": {}},
        {"headers": {"signature": 1}},
        *({"headers": good["headers"] | {name: value}} for name, value in in_headers.items()),
    ]
    file = tmp_path / "call.json"
    file.write_text(json.dumps(good))
    assert main([str(file)]) == 0
    assert main([str(file), "--key", "x" * 43]) == 1
    for change in changes:
        file.write_text(json.dumps(good | change))
        assert main([str(file)]) == 1, change
        assert capsys.readouterr().out.rpartition("NOT VERIFIED: ")[2].strip(), change
    for text in ("", "[]", "[" * 100_000, '{"a": 1, "a": 2}', json.dumps({"schema": good["schema"]})):
        file.write_text(text)
        assert main([str(file)]) == 1, text[:20]
    assert main([str(tmp_path / "nothing")]) == 2
