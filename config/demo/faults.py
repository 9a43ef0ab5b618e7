"""What goes wrong with a day's meters, on purpose: so that the report can tell what was caught. Pure and seeded.

One provider's meter adds 0.3 % to the visible output of answers without reasoning, carrying fractions of a token on to
the next answer, and half to the reasoning of those with. The buyers' meters stay honest. Any meter may lose the end of
a request whose start it told, alternately the buyer's and the provider's. A request has one fault at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from config.demo.assignment import Use
from config.demo.chance import stream
from settlement.metering.buckets import TokenBuckets

PERMILLE = 1_000
FAULTY_PROVIDER = "aurora"
SHAVED_PERMILLE = 3  # of the visible output
INFLATED_PERMILLE = 500  # of the reasoning
LOST_END_PERMILLE = 5  # of the requests that were served
REASONING_PERMILLE = 200  # of the requests; a trace does not say which
REASONING_SHARE_PERMILLE = (300, 800)  # of such a request's output


@dataclass(frozen=True, slots=True)
class Told:
    """A request as the meters tell it. Reasoning is part of the output; tokens that the provider's meter adds are not.

    `lost_by` is the code of the party whose meter tells the start and never the end, "" if both tell all.
    """

    use: Use
    reasoning_tokens: int = 0
    lost_by: str = ""
    shaved_tokens: int = 0
    inflated_tokens: int = 0

    @property
    def request_id(self) -> str:
        return f"request-{self.use.request.number}"

    @property
    def honest(self) -> TokenBuckets:
        """As it was."""
        request = self.use.request
        return TokenBuckets(
            input_uncached=request.input_tokens - request.cached_tokens,
            input_cache_read=request.cached_tokens,
            output_visible=request.output_tokens - self.reasoning_tokens,
            output_reasoning=self.reasoning_tokens,
        )

    @property
    def by_provider(self) -> TokenBuckets:
        """As the provider's meter counts it."""
        honest = self.honest
        return replace(
            honest,
            output_visible=honest.output_visible + self.shaved_tokens,
            output_reasoning=honest.output_reasoning + self.inflated_tokens,
        )


def inject(uses: Iterable[Use], *, seed: int) -> Iterator[Told]:
    """Each request with what its meters make of it."""
    random = stream(seed, "faults")
    carried, lost = 0, 0  # thousandths of a token; requests
    for use in uses:
        output = use.request.output_tokens
        reasoning = 0
        if random.randrange(PERMILLE) < REASONING_PERMILLE:
            reasoning = output * random.randint(*REASONING_SHARE_PERMILLE) // PERMILLE
        loses = random.randrange(PERMILLE) < LOST_END_PERMILLE
        if use.refused:
            yield Told(use, reasoning)
        elif loses:
            lost += 1
            yield Told(use, reasoning, lost_by=use.holding.buyer if lost % 2 else use.holding.provider)
        elif use.holding.provider != FAULTY_PROVIDER:
            yield Told(use, reasoning)
        elif reasoning:
            yield Told(use, reasoning, inflated_tokens=reasoning * INFLATED_PERMILLE // PERMILLE)
        else:
            shaved, carried = divmod(carried + output * SHAVED_PERMILLE, PERMILLE)
            yield Told(use, shaved_tokens=shaved)
