"""An auditor's opinion: a further signature on a statement, kept and handed out with it."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import CommandError, call_command
from django.db import Error, transaction
from joserfc import jws
from joserfc.jwk import KeySet, KeySetSerialization

from ledger.errors import NotFound, ReasonMissing
from ledger.keys.ring import public_jwks
from ledger.models import ActionLog
from settlement.commands.add_opinion import MAX_OPINIONS, add_opinion
from settlement.commands.register_auditor_key import RegisterAuditorKey, register_auditor_key, revoke_auditor_key
from settlement.models import AuditorKey, Statement, StatementOpinion
from settlement.statements import auditor_keys
from settlement.statements.errors import InvalidAuditorKey, InvalidOpinion
from settlement.statements.jws import records_file, statement_file
from settlement.statements.signing import ALGORITHM, Signer
from settlement.statements.verify import Report, verify
from tests.integration.settlement.trading_day import TradingDay, requests

KEY = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))
AUDITOR = Signer(KEY)
FINDINGS = "ab" * 32


@pytest.fixture
def statement(day: TradingDay) -> Statement:
    """A statement, and an auditor whose key is registered."""
    auditor_keys.register()
    register(day, KEY)
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(80_000))
    run = day.settle()
    return Statement.objects.get(run=run, party__code="buyer-1")


def register(day: TradingDay, key: Ed25519PrivateKey, auditor: str = "Audit & Co") -> AuditorKey:
    command = RegisterAuditorKey(auditor, key.public_key().public_bytes_raw())
    return register_auditor_key(command, actor="olga", now=day.clock.at)


def signed(statement: Statement, day: TradingDay, signer: Signer = AUDITOR, **header: Any) -> tuple[str, str]:
    """What an auditor makes of a statement's file: protected header and signature."""
    said = {"opinion": "agreed"} | header
    file = signer.add_signature(statement.jws.encode(), signed_at=day.clock.at, header=said)
    last = json.loads(file)["signatures"][-1]
    return last["protected"], last["signature"]


def give(statement: Statement, day: TradingDay, signer: Signer = AUDITOR, **header: Any) -> StatementOpinion:
    return add_opinion(statement.pk, *signed(statement, day, signer, **header), actor="anna", now=day.clock.at)


def check(statement: Statement) -> Report:
    jwks = json.dumps(public_jwks()).encode()
    return verify(statement_file(statement), jwks, records=b"".join(records_file(statement)))


@pytest.mark.parametrize(
    "header",
    [{"opinion": "agreed"}, {"opinion": "refused"}, {"opinion": "agreed_with_findings", "findings_digest": FINDINGS}],
)
def test_an_opinion_is_kept_and_the_file_with_it_verifies(
    statement: Statement, day: TradingDay, header: dict[str, Any]
) -> None:
    opinion = give(statement, day, **header)
    assert opinion.opinion == header["opinion"]
    report = check(statement)
    assert report.ok, report.text()
    assert report.opinions == [f"{header['opinion']} by Audit & Co"]
    assert len(json.loads(statement_file(statement))["signatures"]) == 2
    file = json.loads(statement_file(statement))
    registry = jws.JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)
    registry.max_payload_length = len(file["payload"])
    assert jws.deserialize_json(
        file, KeySet.import_key_set(cast(KeySetSerialization, public_jwks())), registry=registry
    ).payload
    assert ActionLog.objects.filter(action="add_opinion", subject=f"statement:{statement.pk}").exists()


def test_the_same_opinion_again_is_the_one_that_was_kept_and_another_is_refused(
    statement: Statement, day: TradingDay
) -> None:
    first = give(statement, day)
    assert give(statement, day).pk == first.pk
    with pytest.raises(InvalidOpinion):
        give(statement, day, opinion="refused")


@pytest.mark.parametrize(
    "header",
    [
        {"opinion": "splendid"},
        {"opinion": "agreed_with_findings"},
        {"opinion": "agreed", "findings_digest": "x"},
        {"opinion": "agreed", "surprise": "x"},
        {"opinion": 1},
    ],
)
def test_an_opinion_of_another_form_is_refused(statement: Statement, day: TradingDay, header: dict[str, Any]) -> None:
    with pytest.raises(InvalidOpinion):
        give(statement, day, **header)
    assert not StatementOpinion.objects.exists()


def test_a_signature_that_does_not_fit_is_refused(statement: Statement, day: TradingDay) -> None:
    protected, signature = signed(statement, day)
    other = Statement.objects.exclude(pk=statement.pk).earliest("pk")
    spare = signature[:-1] + chr(ord(signature[-1]) + 1)
    padded = base64.urlsafe_b64encode(b'{"alg": "Ed25519"}').decode()
    for number, header, given in (
        (statement.pk, protected, signed(other, day)[1]),
        (other.pk, protected, signature),
        (statement.pk, protected, spare),
        (statement.pk, protected, signature + "="),
        (statement.pk, padded, signature),
        (statement.pk, "", signature),
        (statement.pk, "ü", signature),
        (statement.pk, protected, ""),
    ):
        with pytest.raises(InvalidOpinion):
            add_opinion(number, header, given, actor="anna", now=day.clock.at)
    with pytest.raises(NotFound):
        add_opinion(0, protected, signature, actor="anna", now=day.clock.at)
    with pytest.raises(InvalidOpinion):
        add_opinion(statement.pk, protected, signature, actor="anna", now=day.clock.at - timedelta(hours=1))


def test_only_registered_keys_give_opinions_and_each_once(statement: Statement, day: TradingDay) -> None:
    strangers = [Ed25519PrivateKey.from_private_bytes(bytes([number] * 32)) for number in range(20, 28)]
    with pytest.raises(InvalidOpinion):
        give(statement, day, Signer(strangers[0]))
    for key in strangers[:MAX_OPINIONS]:
        register(day, key, "Others")
        give(statement, day, Signer(key))
    assert check(statement).ok
    register(day, strangers[MAX_OPINIONS], "Others")
    with pytest.raises(InvalidOpinion):
        give(statement, day, Signer(strangers[MAX_OPINIONS]))


def test_a_revoked_key_gives_no_more_opinions_and_its_old_ones_stand(statement: Statement, day: TradingDay) -> None:
    give(statement, day)
    day.clock.at += timedelta(days=1)
    kid = AUDITOR.kid
    with pytest.raises(ReasonMissing):
        revoke_auditor_key(kid, " ", actor="olga", now=day.clock.at)
    for _ in range(2):
        revoke_auditor_key(kid, "The key was lost.", actor="olga", now=day.clock.at)
    assert check(statement).ok
    other = Statement.objects.exclude(pk=statement.pk).earliest("pk")
    with pytest.raises(InvalidOpinion):
        give(other, day)
    with pytest.raises(NotFound):
        revoke_auditor_key("x", "why", actor="olga", now=day.clock.at)
    with pytest.raises(Error), transaction.atomic():
        AuditorKey.objects.update(revoked_at=None)


def test_which_keys_can_be_an_auditors(day: TradingDay) -> None:
    assert register(day, KEY).pk == register(day, KEY).pk
    own = base64.urlsafe_b64decode(public_jwks()["keys"][0]["x"] + "=")
    for name, public_key in (
        ("Others", KEY.public_key().public_bytes_raw()),
        ("Audit & Co", own),
        ("Audit & Co", bytes(32)),
        ("", bytes(range(32))),
        ("a\nb", bytes(range(32))),
    ):
        with pytest.raises(InvalidAuditorKey):
            register_auditor_key(RegisterAuditorKey(name, public_key), actor="olga", now=day.clock.at)
    revoke_auditor_key(AUDITOR.kid, "lost", actor="olga", now=day.clock.at)
    with pytest.raises(InvalidAuditorKey):
        register(day, KEY)


def test_the_commands(day: TradingDay, tmp_path: Path) -> None:
    file = tmp_path / "auditor.pem"
    file.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    call_command("register_auditor_key", "Audit & Co", str(file))
    assert AuditorKey.objects.get().auditor == "Audit & Co"
    call_command("revoke_auditor_key", "--reason", "lost", "--", AUDITOR.kid)
    assert AuditorKey.objects.get().revoked_at is not None
    with pytest.raises(CommandError):
        call_command("register_auditor_key", "Audit & Co", str(tmp_path / "absent"))
    with pytest.raises(CommandError):
        call_command("revoke_auditor_key", "x", "--reason", "lost")
