from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.demo.generated import generate_trace
from config.demo.trace import BrokenTraceLine, Trace, UnusableTrace, read_trace, write_azure

AZURE_HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
AZURE_LINE = "2023-11-16 18:15:46.6805900,374,44\n"


def mooncake(timestamp: object, tokens: object, output: object, blocks: object) -> str:
    row = {"timestamp": timestamp, "input_length": tokens, "output_length": output, "hash_ids": blocks}
    return json.dumps(row) + "\n"


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_azure_lines_are_read_to_the_microsecond(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "conv.csv", AZURE_HEADER + AZURE_LINE + "2023-11-16 18:20:00.9999999,5,6"))
    first, second = trace.requests
    assert trace.name == "conv.csv"
    assert trace.lot_tokens == 100_000
    assert first.at == datetime(2023, 11, 16, 18, 15, 46, 680590, tzinfo=UTC)
    assert (first.number, first.input_tokens, first.cached_tokens, first.output_tokens) == (1, 374, 0, 44)
    # The seventh digit is cut: rounding up could move a request into the next window.
    assert second.at == datetime(2023, 11, 16, 18, 20, 0, 999999, tzinfo=UTC)


@pytest.mark.parametrize("name", ["moon.jsonl", "moon.jsonl.gz"])
def test_a_mooncake_block_seen_before_is_a_cache_read(tmp_path: Path, name: str) -> None:
    text = mooncake(0, 1000, 5, [7, 8]) + mooncake(1500, 1500, 6, [7, 8, 9]) + mooncake(3000, 700, 1, [7, 9])
    trace = read_trace(written(tmp_path, name, text))
    assert trace.lot_tokens == 1_000_000
    assert [request.cached_tokens for request in trace.requests] == [0, 1024, 700]  # never more than the input
    assert [(request.at - trace.requests[0].at).total_seconds() for request in trace.requests] == [0, 1.5, 3]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("TIME,ContextTokens,GeneratedTokens\n" + AZURE_LINE, 1),
        (AZURE_HEADER + AZURE_LINE + "2023-11-16 18:15:47.0,12\n", 3),
        (AZURE_HEADER + "2023-11-16 18:15:47.0,-1,3\n", 2),
        (AZURE_HEADER + "2023-11-16 18:15:47.0,1.5,3\n", 2),
        (AZURE_HEADER + "2023-11-16 18:15:47.0,1,999999999\n", 2),
        (AZURE_HEADER + "2023-02-30 18:15:47.0,1,3\n", 2),
        (AZURE_HEADER + AZURE_LINE + "\n" + AZURE_LINE, 3),
        (AZURE_HEADER + "2023-11-16 18:15:47.0,١,3\n", 2),
    ],
)
def test_a_broken_azure_line_is_named(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(BrokenTraceLine) as caught:
        read_trace(written(tmp_path, "conv.csv", text))
    assert caught.value.code == "broken_trace_line"
    assert caught.value.fields["line"] == line
    assert f"Line {line}" in caught.value.message


@pytest.mark.parametrize(
    "broken",
    [
        "{\n",
        "[1]\n",
        "[" * 100_000 + "\n",
        mooncake(-1, 1, 1, []),
        mooncake(10**30, 1, 1, []),
        mooncake(True, 1, 1, []),
        mooncake(0, "1", 1, []),
        mooncake(0, 1, 1.5, []),
        mooncake(0, 1, None, []),
        mooncake(0, 1, 1, None),
        mooncake(0, 1, 1, ["a"]),
    ],
)
def test_a_broken_mooncake_line_is_named(tmp_path: Path, broken: str) -> None:
    with pytest.raises(BrokenTraceLine) as caught:
        read_trace(written(tmp_path, "moon.jsonl", mooncake(0, 1, 1, [1]) + broken))
    assert caught.value.fields["line"] == 2


def test_bytes_that_are_no_text_are_a_broken_line(tmp_path: Path) -> None:
    path = tmp_path / "conv.csv"
    path.write_bytes(AZURE_HEADER.encode() + b"2023-11-16 18:15:47.0,\xff,3\n")
    with pytest.raises(BrokenTraceLine) as caught:
        read_trace(path)
    assert caught.value.fields["line"] == 2


def test_a_cut_gzip_file_is_a_broken_line(tmp_path: Path) -> None:
    path = written(tmp_path, "moon.jsonl.gz", "".join(mooncake(0, n, n, [n]) for n in range(2000)))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(BrokenTraceLine):
        read_trace(path)


def test_files_that_are_no_trace_are_refused(tmp_path: Path) -> None:
    two_days = AZURE_HEADER + AZURE_LINE + AZURE_LINE.replace("11-16", "11-18")
    for path in (
        tmp_path / "missing.csv",
        written(tmp_path, "trace.txt", AZURE_HEADER),
        written(tmp_path, "empty.csv", AZURE_HEADER),
        written(tmp_path, "long.csv", two_days),
    ):
        with pytest.raises(UnusableTrace) as caught:
            read_trace(path)
        assert caught.value.code == "unusable_trace"


def test_a_generated_trace_has_the_shape_of_a_real_hour() -> None:
    trace = generate_trace(7)
    inputs = sorted(request.input_tokens for request in trace.requests)
    outputs = sorted(request.output_tokens for request in trace.requests)
    assert 15_000 < len(trace.requests) < 25_000
    assert 900 < inputs[len(inputs) // 2] < 1_150
    assert inputs[-1] <= 9_000
    assert 110 < outputs[len(outputs) // 2] < 150
    assert outputs[-1] <= 1_000
    assert [request.at for request in trace.requests] == sorted(request.at for request in trace.requests)
    assert generate_trace(7) == trace
    assert generate_trace(8) != trace
    assert len(generate_trace(7, scale_percent=10).requests) < len(trace.requests) / 8


def test_requests_survive_being_written_as_a_csv(tmp_path: Path) -> None:
    trace = generate_trace(3, scale_percent=1)
    again = read_trace(written(tmp_path, "generated.csv", write_azure(trace.requests)))
    assert again == Trace("generated.csv", 100_000, trace.requests)
