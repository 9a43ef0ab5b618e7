"""What a statement says of the meters, as a person reads it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MILLI = 1000
SERVICE_WORDS: Mapping[str, str] = {
    "ttft": "time to first token",
    "speed": "tokens per second",
    "availability": "availability",
}


@dataclass(frozen=True, slots=True)
class Bucket:
    """Raw tokens of one kind; empty where a meter said nothing. `trust` is what the count rests on."""

    what: str
    provider: str
    buyer: str
    difference: str
    tolerance: str
    settled: str
    trust: str


@dataclass(frozen=True, slots=True)
class Metering:
    """The meters' figures of a position, in contract tokens with three decimals; empty where a meter said nothing.

    `between` are its two sides, of which statements of the first form name only the other one.
    """

    contract: str
    between: str
    provider: str
    buyer: str
    difference: str
    settled: str
    refused: str
    disputed: str = ""
    buckets: Sequence[Bucket] = ()
    requests: str = ""  # how they compare, in words
    open_cases: str = ""
    rulings: str = ""
    completeness: str = ""
    signed: str = ""
    corrections: str = ""
    service: str = ""
    missed: str = ""  # which figures of the service class were not met
    reference: str = ""  # price, and where it comes from


def read_metering(figure: Mapping[str, Any]) -> Metering:
    """A position's figures from its record."""

    def tokens(name: str) -> str:
        return _from_milli(figure[f"{name}_millitokens"]) if f"{name}_millitokens" in figure else ""

    service, reference = figure.get("service", {}), figure.get("reference", {})
    return Metering(
        contract=figure["contract"],
        between=figure.get("counterparty", "") or f"{figure['provider']} and {figure['buyer']}",
        provider=tokens("provider"),
        buyer=tokens("buyer"),
        difference=_difference(figure),
        settled=tokens("settled"),
        refused=tokens("refused"),
        disputed=tokens("disputed"),
        buckets=[_bucket(name, bucket) for name, bucket in sorted(figure.get("buckets", {}).items())],
        requests=_counted(figure.get("verdicts", {})),
        open_cases=_listed(f"{_plain(case['kind'])}: {case['requests']}" for case in figure.get("open_cases", ())),
        rulings=_listed(f"{_plain(kind)}: {_plain(str(ruling))}" for kind, ruling in _pairs(figure.get("rulings", {}))),
        completeness=_listed(f"{side} {_plain(state)}" for side, state in _pairs(figure.get("completeness", {}))),
        signed=_counted(figure.get("signed_events", {})),
        corrections=figure.get("corrections", ""),
        service=_service(service),
        missed=_listed(SERVICE_WORDS.get(name, name) for name in service.get("missed", ())),
        reference=f"{reference['price']} ({_plain(reference['step'])})" if "price" in reference else "",
    )


def _bucket(name: str, bucket: Mapping[str, str]) -> Bucket:
    return Bucket(
        what=_plain(name),
        provider=bucket.get("provider", ""),
        buyer=bucket.get("buyer", ""),
        difference=bucket.get("difference", ""),
        tolerance=bucket["tolerance"],
        settled=bucket["settled"],
        trust=bucket["trust"],
    )


def _difference(figure: Mapping[str, Any]) -> str:
    if "provider_millitokens" not in figure or "buyer_millitokens" not in figure:
        return ""
    return _from_milli(str(int(figure["provider_millitokens"]) - int(figure["buyer_millitokens"])))


def _service(service: Mapping[str, Any]) -> str:
    """What the service came to, in words; "" where it was not measured."""
    told = []
    if "ttft_p95_ms" in service:
        told.append(f"95 of 100 first tokens within {service['ttft_p95_ms']} ms")
    output_ms = int(service.get("output_ms", 0))
    if output_ms:
        told.append(f"{int(service['output_tokens']) * 1000 // output_ms} tokens per second")
    asked = int(service.get("served", 0)) + int(service.get("failed", 0))
    if asked:
        told.append(f"{service['served']} of {asked} requests served")
    return _listed(told)


def _counted(counts: Mapping[str, str]) -> str:
    """{"matched": "12", "lost_end": "1"} -> "1 lost end, 12 matched"."""
    return _listed(f"{count} {_plain(word)}" for word, count in _pairs(counts))


def _pairs(mapping: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(mapping.items())


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(texts)


def _plain(code: str) -> str:
    return code.replace("_", " ")


def _from_milli(text: str) -> str:
    """ "1234567" milli-contract-tokens -> "1234.567" contract tokens."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, thousandths = divmod(int(digits), MILLI)
    return f"{sign}{whole}.{thousandths:03d}"
