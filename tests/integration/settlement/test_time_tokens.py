"""Time tokens of an outside authority over statements, got by the product and judged by the verifier."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import override_settings

from ledger.keys.ring import public_jwks
from settlement.models import JobState, JobStep, SettlementJob, Statement, StatementTimeToken
from settlement.statements.jws import records_file, statement_file
from settlement.statements.timestamps import request_token
from settlement.statements.verify import main, verify
from tests.integration.settlement.time_authority import TimeAuthority, time_authority
from tests.integration.settlement.trading_day import TradingDay, requests
from tests.unit.settlement.sample_statements import AUDITOR, published
from tests.unit.settlement.stated_samples import exchange_jwk, indicative, jwks, sample

NOW = datetime.now(UTC) - timedelta(seconds=2)  # the authority's clock is the machine's
KEYS = jwks(exchange_jwk(nbf=0), published(AUDITOR, auditor="Audit & Co"))


def configured(authority: TimeAuthority) -> override_settings:
    return override_settings(TIME_STAMP_URL=authority.url, TIME_STAMP_ROOTS=str(authority.root))


def test_a_run_has_its_statements_stamped_when_an_authority_is_set(day: TradingDay, tmp_path: Path) -> None:
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    day.deliver()
    day.report_both("buyer-1", "provider-1", requests(80_000))
    with time_authority(tmp_path / "tsa") as authority, configured(authority):
        run = day.settle()
        statements = list(Statement.objects.filter(run=run))
        assert StatementTimeToken.objects.count() == len(statements) > 2
        for statement in statements:
            token = bytes(statement.time_token.token)
            report = verify(
                statement_file(statement),
                json.dumps(public_jwks()).encode(),
                records=b"".join(records_file(statement)),
                token=token,
                authority=authority.root.read_bytes(),
            )
            if day.clock.at > datetime.now(UTC):  # the authority's clock is the machine's
                assert report.code == "wrong_time"
            else:
                assert report.ok, report.text()
                assert "time stamps of the tests" in report.checks[-1].detail


def test_without_an_answer_the_job_fails_and_the_statement_stands(day: TradingDay, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    with time_authority(tmp_path / "tsa") as authority:
        roots = str(authority.root)
    day.sell("provider-1", 10, 420)
    day.buy("buyer-1", 10, 420)
    with override_settings(TIME_STAMP_URL=url, TIME_STAMP_ROOTS=roots):
        day.deliver()
        run = day.settle()
        stamps = SettlementJob.objects.filter(run=run, step=JobStep.STAMP)
        assert stamps.exists()
        for job in stamps:
            assert job.state == JobState.FAILED
            assert job.error.startswith("TimeStampFailed")
    assert not StatementTimeToken.objects.exists()


def token_of(authority: TimeAuthority, data: bytes) -> bytes:
    with configured(authority):
        return request_token(data)


def test_the_verifier_judges_token_authority_and_time(tmp_path: Path) -> None:
    made = sample()
    file, records = made.file(signed_at=NOW), made.file_of_records
    early = made.file(signed_at=NOW + timedelta(hours=1))
    with time_authority(tmp_path / "tsa") as authority, time_authority(tmp_path / "other") as other:
        token, root = token_of(authority, file), authority.root.read_bytes()

        def code(token: bytes, authority: bytes) -> str:
            return verify(file, KEYS, records=records, token=token, authority=authority).code

        stamped = token_of(authority, early)
        assert verify(early, KEYS, records=records, token=stamped, authority=root).code == "wrong_time"
        assert code(token=token + b"x", authority=root) == "bad_time_token"
        assert code(token=token, authority=root) == ""
        assert code(token=token, authority=other.root.read_bytes()) == "bad_time_token"
        assert code(token=token, authority=b"") == "bad_time_token"
        assert code(token=token_of(authority, file + b" "), authority=root) == "bad_time_token"
        assert code(token=token[:-1], authority=root) == "bad_time_token"
        assert code(token=b"", authority=root) == "bad_time_token"
        for place in range(0, len(token), 7):
            changed = token[:place] + bytes([token[place] ^ 1]) + token[place + 1 :]
            report = verify(file, KEYS, records=records, token=changed, authority=root)
            assert report.code in ("", "bad_time_token")
            if report.ok:  # a byte that nobody signs, such as one of the root's certificate beside it
                assert (
                    report.checks[-1].detail
                    == verify(file, KEYS, records=records, token=token, authority=root).checks[-1].detail
                )
        with_opinion = AUDITOR.add_signature(file, signed_at=NOW, header={"opinion": "agreed"})
        assert verify(with_opinion, KEYS, records=records, token=token, authority=root).ok


def test_a_token_vouches_for_a_revoked_key_where_there_is_no_log(tmp_path: Path) -> None:
    """What is not in the log is as old as its token; for all else it takes the log, whatever was stamped."""
    logged, unlogged = sample(), indicative()
    with time_authority(tmp_path / "tsa") as authority:
        root = authority.root.read_bytes()
        for made in (logged, unlogged):
            file, records = made.file(signed_at=NOW), made.file_of_records
            token = token_of(authority, file)
            for revoked_at in (int(NOW.timestamp()) + 9_000, int(NOW.timestamp()) + 1):
                key = exchange_jwk(
                    status="revoked",
                    nbf=0,
                    revoked={"revoked_at": revoked_at},
                    log_until=6,
                    log_revoked=9,
                )
                before = made is unlogged and revoked_at > datetime.now(UTC).timestamp()
                report = verify(file, jwks(key), records=records, token=token, authority=root)
                assert report.code == ("" if before else "key_revoked")
                assert verify(file, jwks(key), records=records).code == "key_revoked"


def test_older_authorities_name_their_certificate_by_sha1(tmp_path: Path) -> None:
    made = sample()
    with time_authority(tmp_path / "tsa", essential="sha1") as authority:
        file = made.file(signed_at=NOW)
        token, root = token_of(authority, file), authority.root.read_bytes()
    assert verify(file, KEYS, records=made.file_of_records, token=token, authority=root).ok


def test_the_command_takes_token_and_authority(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = sample()
    with time_authority(tmp_path / "tsa") as authority:
        file = made.file(signed_at=NOW)
        token = token_of(authority, file)
        contents = {"s.jws.json": file, "s.records.jsonl": made.file_of_records, "keys": KEYS, "token": token}
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        arguments = [str(tmp_path / "s.jws.json"), "--jwks", str(tmp_path / "keys"), "--time-token"]
        assert main([*arguments, str(tmp_path / "token"), "--authority", str(authority.root)]) == 0
    assert "ok    time token: " in capsys.readouterr().out
