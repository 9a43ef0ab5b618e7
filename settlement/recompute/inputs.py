"""What a run was settled from, held against what the run says of itself and against the hashes that it names. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from exchange.gate_record import Obligation, ReferencePrice, ReferenceStep, obligations_hash
from settlement.recompute.bundle import Bundle
from settlement.recompute.faults import BundleFault, Check, FaultCode
from settlement.recompute.manifest import DISPUTED_FINAL, ManifestRun, input_file
from settlement.runs.frozen import NO_LIMIT, SUSPENDING, FrozenContract, frozen_bytes, read_frozen


def read_inputs(bundle: Bundle) -> Iterator[tuple[bytes, FrozenContract]]:
    """The frozen contracts of a bundle in the run's order, each with its bytes. Raises `BundleFault`."""
    for place, symbol in enumerate(bundle.manifest.contracts, start=1):
        name = input_file(place)
        content = bundle.read(name)
        frozen = _frozen(content, name)
        if frozen.symbol != symbol:
            raise BundleFault(FaultCode.WRONG_INPUTS, f"{name} is of {frozen.symbol}, not of {symbol}")
        yield content, frozen


def _frozen(content: bytes, name: str) -> FrozenContract:
    try:
        frozen = read_frozen(content)
        canonical = frozen_bytes(frozen)
    except Exception as error:  # whatever the many readers of its parts say of a value that is not theirs
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name}: {type(error).__name__}: {error}") from error
    if canonical != content:
        raise BundleFault(FaultCode.FILE_MALFORMED, f"{name} is not in its canonical form")
    return frozen


def check_input(run: ManifestRun, frozen: FrozenContract) -> Iterator[Check]:
    """Whether a contract is one that the run covers, and was frozen as its terms and gate left it."""
    for wrong in (*_of_run(run, frozen), *_of_gate(frozen)):
        yield Check(frozen.symbol, FaultCode.WRONG_INPUTS, wrong)


def _of_run(run: ManifestRun, frozen: FrozenContract) -> Iterator[str]:
    if frozen.currency != run.currency or frozen.terms.currency != run.currency:
        yield f"it is settled in {frozen.currency}, the run in {run.currency}"
    if run.product is not None and frozen.product != run.product:
        yield f"it is a contract of {frozen.product}, the run is of {run.product}"
    if not run.period.start < frozen.delivery_end <= run.period.end or frozen.delivery_start >= frozen.delivery_end:
        yield "its delivery did not end in the run's period"
    if frozen.rules_version != run.rules_version:
        yield f"it was frozen under rules {frozen.rules_version}, the run states {run.rules_version}"
    if frozen.usage_through != (NO_LIMIT if run.usage_through is None else run.usage_through):
        yield f"it was frozen with the usage up to call {frozen.usage_through}, the run states another"
    # A dispute's run keeps the figures of the run before it, with what that one held back.
    if not frozen.disputes and frozen.suspends != (run.kind in SUSPENDING):
        yield f"what is disputed is {'' if frozen.suspends else 'not '}held back, other than in {run.kind} runs"
    if not run.follows and any(position.earlier is not None for position in frozen.positions):
        yield f"it names earlier figures, and {run.kind} runs follow none"
    if frozen.disputes and run.kind != DISPUTED_FINAL:
        yield f"it carries out a dispute, and the run is {run.kind}"


def _of_gate(frozen: FrozenContract) -> Iterator[str]:
    pairs = [(position.buyer, position.provider) for position in frozen.positions]
    unmatched = [(pair.buyer, pair.provider) for pair in frozen.unmatched]
    if len({*pairs, *unmatched}) < len(pairs) + len(unmatched):
        yield "it names a pair of buyer and provider twice"
    if frozen.terms.terms_hash.hex() != frozen.terms_hash:
        yield "its terms do not come to the hash that it names of them"
    if _obligations_hash(frozen) != frozen.obligations_hash:
        yield "its positions and reference price do not come to the hash that it names of them"


def _obligations_hash(frozen: FrozenContract) -> str:
    """As the gate fixed it, empty if no gate fixes such figures."""
    if frozen.reference_step not in set(ReferenceStep):
        return ""
    obligations = [
        Obligation(
            buyer=position.buyer,
            provider=position.provider,
            tokens=position.tokens,
            notional=position.notional_micros,
            bond=position.bond_micros,
            overage_tokens=position.overage_tokens,
            overage_hold=position.overage_hold_micros,
        )
        for position in frozen.positions
    ]
    reference = ReferencePrice(frozen.reference_price_micros, ReferenceStep(frozen.reference_step))
    return obligations_hash(frozen.symbol, obligations, reference).hex()
