"""Times as meters write them, in the forms that RFC 3339 has and in no other."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from settlement.metering import instants
from settlement.metering.instants import parse_instant

READ = [
    ("2026-12-01T14:00:00Z", datetime(2026, 12, 1, 14, tzinfo=UTC)),
    ("2026-12-01t14:00:00z", datetime(2026, 12, 1, 14, tzinfo=UTC)),
    ("2026-12-01T14:00:00.5+00:00", datetime(2026, 12, 1, 14, 0, 0, 500_000, tzinfo=UTC)),
    ("2026-12-01T22:30:00+08:30", datetime(2026, 12, 1, 14, tzinfo=UTC)),
    ("2026-12-01T14:00:00-00:00", datetime(2026, 12, 1, 14, tzinfo=UTC)),
    ("2026-12-01T14:00:00.1234567Z", datetime(2026, 12, 1, 14, 0, 0, 123_456, tzinfo=UTC)),
    ("2026-12-01T23:59:59.99999999999Z", datetime(2026, 12, 1, 23, 59, 59, 999_999, tzinfo=UTC)),
    ("2026-12-31T23:59:60Z", datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ("2027-01-01T07:59:60.25+08:00", datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
    ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
]
NOT_READ = [
    "", "now", "2026-12-01", "2026-12-01T14:00:00", "2026-12-01 14:00:00Z", "2026-12-01T14:00Z", "20261201T140000Z",
    "2026-W49-2T14:00:00Z", "2026-12-01T14:00:00.Z", "2026-12-01T14:00:00,5Z", "2026-12-01T14:00:00+0800",
    "2026-12-01T14:00:00+08", "2026-12-01T14:00:00+24:00", "2026-12-01T24:00:00Z", "2026-12-01T14:00:61Z",
    "2026-02-30T14:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-00:01",
    "2026-12-01T14:00:00Z ", "\uff12026-12-01T14:00:00Z", "2026-12-01T14:00:00.\u0663Z",
]  # fmt: skip


@pytest.mark.parametrize(("text", "instant"), READ)
def test_a_time_is_read_to_the_microsecond_in_utc(text: str, instant: datetime) -> None:
    assert parse_instant(text) == instant
    assert parse_instant(text).utcoffset() == instant.utcoffset()


@pytest.mark.parametrize("text", NOT_READ)
def test_no_other_form_is_read(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # what says so differs, that it does not read does not
        parse_instant(text)


def test_the_usual_forms_are_read_as_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    mutated = [_mutated(random.Random(seed + number)) for number in range(20_000)]
    found = [_read(text) for text in mutated]
    monkeypatch.setattr(instants, "_USUAL", frozenset())
    assert found == [_read(text) for text in mutated]
    assert len(found) > found.count(None) > 0


def _read(text: str) -> datetime | None:
    try:
        return parse_instant(text)
    except ValueError:
        return None


def _mutated(chance: random.Random) -> str:
    text = list(chance.choice([text for text, _ in READ] + NOT_READ[2:9]))
    for _ in range(chance.randint(0, 3)):
        at = chance.randrange(len(text))
        text[at : at + chance.randint(0, 1)] = chance.choice("0123456789-:.,TtZzW+ ")
    return "".join(text)
