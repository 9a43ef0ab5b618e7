"""What the count of a bucket rests on, given whose meters reported it. Pure."""

from __future__ import annotations

from settlement.metering.buckets import Bucket, TrustClass, default_trust
from settlement.metering.records import Side

PARTIES = frozenset({Side.PROVIDER, Side.BUYER})


def trust_of(bucket: Bucket, sides: frozenset[Side], *, public_tokenizer: bool) -> TrustClass:
    """The trust class of a bucket of a request, or of many, that the meters of these sides reported.

    Text that anybody can count again is recomputable whoever reported it. Any other count is witnessed if a gateway
    reported it, or both parties did and the text went past both: tool input, and what could be recomputed if the
    tokenizer were public. Reasoning and the use of caches happen inside the provider: without a gateway they stay
    asserted, however often the buyer repeats the provider's figure. What the provider itself does not explain nobody
    witnesses.
    """
    default = default_trust(bucket, public_tokenizer=public_tokenizer)
    if default is TrustClass.RECOMPUTABLE or bucket is Bucket.UNEXPLAINED:
        return default
    if Side.GATEWAY in sides:
        return TrustClass.WITNESSED
    passes_both = default is TrustClass.WITNESSED or bucket is Bucket.INPUT_TOOL
    return TrustClass.WITNESSED if passes_both and sides >= PARTIES else TrustClass.ASSERTED
