"""Meters and their keys over REST: a party's own, and nobody else's."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from ledger.models import ActionLog, Party, PartyKind
from ledger.parties.commands import register_party
from ledger.parties.keys import Scope
from settlement.commands.register_meter import RegisterMeter, register_meter
from settlement.commands.require_signatures import RequireSignatures, require_signatures
from settlement.metering.signatures import base64url, thumbprint
from settlement.models import Meter, MeterKey, MeterSide
from tests.api.client import Api
from tests.api.live_market import MarketClock, api_of
from tests.integration.exchange.market import ACTOR, NOW

PUBLIC = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
PEM = (
    load_der_public_key(bytes.fromhex("302a300506032b6570032100") + PUBLIC)
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
RSA = (
    rsa.RSAPublicNumbers(65537, (1 << 2047) + 1)
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
JWK = {"kty": "OKP", "crv": "Ed25519", "x": base64url(PUBLIC), "kid": "mine", "use": "sig"}


def party_with_meter(code: str, meter: str, kind: PartyKind = PartyKind.PROVIDER) -> Party:
    party = register_party(code, code, kind, actor=ACTOR, now=NOW)
    register_meter(RegisterMeter(party.pk, meter, MeterSide(kind.value)), actor=ACTOR, now=NOW)
    return party


@pytest.fixture
def provider(stopped_clock: None) -> Party:
    return party_with_meter("provider-1", "meter/one")


@pytest.fixture
def meter(provider: Party) -> Api:
    return api_of(provider, Scope.METER)


def test_a_key_is_registered_listed_and_revoked(meter: Api) -> None:
    made = meter.post("meters/meter/one/keys", {"public_key": base64url(PUBLIC)}, idempotency_key="1").ok(201)
    assert made == {
        "thumbprint": thumbprint(PUBLIC),
        "public_key": base64url(PUBLIC),
        "registered_at": "2026-12-01T10:00:00Z",
        "registered_by": made["registered_by"],
        "revoked_at": None,
        "revoked_by": "",
    }
    assert made["registered_by"].startswith("key:")
    again = meter.post("meters/meter/one/keys", {"public_key": base64url(PUBLIC)}, idempotency_key="1")
    assert again.ok(200) == made
    other = {"public_key": base64url(OTHER)}
    meter.post("meters/meter/one/keys", other, idempotency_key="1").problem(409, "idempotency_conflict")
    second = meter.post("meters/meter/one/keys", other, idempotency_key="2").ok(201)
    (listed,) = meter.get("meters").ok()["items"]
    assert (listed["code"], listed["party"], listed["side"]) == ("meter/one", "provider-1", "provider")
    assert (listed["signature_required"], listed["keys"]) == (False, [second, made])
    MarketClock().at = NOW + timedelta(hours=1)
    path = f"meters/meter/one/keys/{made['thumbprint']}/revoke"
    revoked = meter.post(path, {}, idempotency_key="3").ok(201)
    assert (revoked["revoked_at"], revoked["revoked_by"]) == ("2026-12-01T11:00:00Z", made["registered_by"])
    MarketClock().at = NOW + timedelta(hours=2)
    assert meter.post(path, {}, idempotency_key="4").ok(201) == revoked
    (listed,) = meter.get("meters").ok()["items"]
    assert listed["keys"] == [second, revoked]
    acts = ActionLog.objects.filter(subject="meter:meter/one", action__contains="key").order_by("id")
    assert list(acts.values_list("action", "details")) == [
        ("register_meter_key", {"thumbprint": thumbprint(PUBLIC)}),
        ("register_meter_key", {"thumbprint": thumbprint(OTHER)}),
        ("revoke_meter_key", {"thumbprint": thumbprint(PUBLIC)}),
    ]


def test_a_json_web_key_will_do_but_never_a_private_one(meter: Api) -> None:
    private = JWK | {"d": base64url(bytes(range(32)))}
    for secret in (private, json.dumps(private), PEM.replace("PUBLIC", "PRIVATE")):
        refusal = meter.post("meters/meter/one/keys", {"public_key": secret}, idempotency_key="1")
        assert "private" in refusal.problem(400, "invalid_meter_key")["detail"]
    made = meter.post("meters/meter/one/keys", {"public_key": JWK}, idempotency_key="1").ok(201)
    assert made["thumbprint"] == thumbprint(PUBLIC)
    for number, form in enumerate((json.dumps(JWK), PEM, f" {base64url(PUBLIC)}\n")):
        again = meter.post("meters/meter/one/keys", {"public_key": form}, idempotency_key=f"again-{number}")
        assert again.ok(201) == made


@pytest.mark.parametrize(
    "public_key",
    [
        "",
        5,
        [],
        {},
        base64url(PUBLIC) + "=",
        base64url(PUBLIC)[:-1] + "\N{LATIN SMALL LETTER E WITH ACUTE}",
        base64url(PUBLIC[:31]),
        base64url(PUBLIC + b"\0"),
        base64url(PUBLIC)[:-1] + "9",  # spare bits
        JWK | {"crv": "X25519"},
        JWK | {"kty": "EC"},
        JWK | {"x": None},
        {"kty": "OKP", "x": base64url(PUBLIC)},
        "{",
        "{" * 1_000,
        "A" * 5_000,
        PEM.replace("A", "B"),
        RSA,
    ],
)
def test_what_is_no_key_is_refused(meter: Api, public_key: object) -> None:
    answer = meter.post("meters/meter/one/keys", {"public_key": public_key}, idempotency_key="1")
    answer.problem(400, "invalid_meter_key")
    assert not MeterKey.objects.exists()


def test_a_key_that_fits_every_signature_is_refused(meter: Api) -> None:
    weak = base64url((1).to_bytes(32, "little"))
    meter.post("meters/meter/one/keys", {"public_key": weak}, idempotency_key="1").problem(400, "invalid_meter_key")
    assert not MeterKey.objects.exists()


def test_requests_are_whole(meter: Api) -> None:
    body = {"public_key": base64url(PUBLIC)}
    meter.post("meters/meter/one/keys", body).problem(400, "idempotency_key_missing")
    meter.post("meters/meter/one/keys", {}, idempotency_key="1").problem(400, "invalid_request")
    meter.post("meters/meter/one/keys", {"public_key": None}, idempotency_key="1").problem(400, "invalid_request")
    meter.post("meters/meter/one/keys", body | {"label": "x"}, idempotency_key="1").problem(400, "invalid_request")
    meter.post("meters/meter/one/keys?x=1", body, idempotency_key="1").problem(400, "invalid_request")
    meter.post("meters/meter/two/keys", body, idempotency_key="1").problem(404, "not_found")
    unknown = f"meters/meter/one/keys/{thumbprint(PUBLIC)}/revoke"
    meter.post(unknown, {}, idempotency_key="1").problem(404, "not_found")
    meter.post(unknown, {}).problem(400, "idempotency_key_missing")
    meter.get("meters", {"party": "x"}).problem(400, "invalid_request")
    assert not MeterKey.objects.exists()


def test_another_party_reaches_neither_the_meter_nor_its_keys(provider: Party, meter: Api) -> None:
    made = meter.post("meters/meter/one/keys", {"public_key": JWK}, idempotency_key="1").ok(201)
    stranger = api_of(party_with_meter("buyer-1", "meter/two", PartyKind.BUYER), Scope.METER)
    body = {"public_key": base64url(OTHER)}
    stranger.post("meters/meter/one/keys", body, idempotency_key="1").problem(404, "not_found")
    path = f"meters/meter/one/keys/{made['thumbprint']}/revoke"
    stranger.post(path, {}, idempotency_key="2").problem(404, "not_found")
    elsewhere = f"meters/meter/two/keys/{made['thumbprint']}/revoke"
    stranger.post(elsewhere, {}, idempotency_key="3").problem(404, "not_found")
    assert [each["code"] for each in stranger.get("meters").ok()["items"]] == ["meter/two"]
    taken = stranger.post("meters/meter/two/keys", {"public_key": JWK}, idempotency_key="4")
    taken.problem(400, "invalid_meter_key")  # a key is one meter's
    assert list(MeterKey.objects.values_list("meter__code", "revoked_at")) == [("meter/one", None)]
    auditor = register_party("auditor", "Auditor", PartyKind.AUDITOR, actor=ACTOR, now=NOW)
    audit = api_of(auditor, Scope.AUDIT)
    assert {each["code"] for each in audit.get("meters").ok()["items"]} == {"meter/one", "meter/two"}
    audit.post("meters/meter/one/keys", body, idempotency_key="1").problem(403, "not_allowed")


def test_reading_is_no_licence_to_register(provider: Party) -> None:
    reader = api_of(provider, Scope.READ)
    assert reader.get("meters").ok()["items"]
    reader.post("meters/meter/one/keys", {"public_key": JWK}, idempotency_key="1").problem(403, "not_allowed")
    path = f"meters/meter/one/keys/{thumbprint(PUBLIC)}/revoke"
    reader.post(path, {}, idempotency_key="1").problem(403, "not_allowed")
    Api().get("meters").problem(401, "not_authenticated")


def test_a_revoked_key_does_not_come_back(meter: Api) -> None:
    meter.post("meters/meter/one/keys", {"public_key": JWK}, idempotency_key="1").ok(201)
    meter.post(f"meters/meter/one/keys/{thumbprint(PUBLIC)}/revoke", {}, idempotency_key="2").ok(201)
    again = meter.post("meters/meter/one/keys", {"public_key": JWK}, idempotency_key="3")
    assert "revoked" in again.problem(400, "invalid_meter_key")["detail"]


def test_an_api_key_alone_gives_no_voice_to_a_meter_that_signs(meter: Api) -> None:
    meter.post("meters/meter/one/keys", {"public_key": JWK}, idempotency_key="1").ok(201)
    require_signatures(RequireSignatures(Meter.objects.get().pk, required=True), actor=ACTOR, now=NOW)
    body = {"public_key": base64url(OTHER)}
    meter.post("meters/meter/one/keys", body, idempotency_key="2").problem(403, "not_allowed")
    assert MeterKey.objects.count() == 1
    meter.post(f"meters/meter/one/keys/{thumbprint(PUBLIC)}/revoke", {}, idempotency_key="3").ok(201)
