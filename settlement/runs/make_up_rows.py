"""Rights to make up for unused tokens: which credits a position may take from, and what a run leaves of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from exchange.models import Contract
from exchange.terms import MakeUpTerms
from settlement.calculation import PositionOutcome
from settlement.make_up import PERMILLE, MakeUp
from settlement.market import SettledContract
from settlement.models import MakeUpCredit, MakeUpUse, RunContract, RunState, SettlementRun
from settlement.runs.earlier import POSTED

Use = tuple[int, int, int]  # source contract, buyer, provider


@dataclass(slots=True)
class Credits:
    """The credits that contracts of a run may take from, kept up while they are settled one after the other.

    A credit is that of a published run of an earlier period. What other contracts take of it counts as their last run
    found; contracts of this run take in their order.
    """

    run: SettlementRun
    symbols: dict[int, str] = field(default_factory=dict)
    _credits: dict[int, list[MakeUpCredit]] = field(default_factory=dict)
    _taken: dict[Use, dict[int, int]] = field(default_factory=dict)

    def offered(self, contract: SettledContract, buyer_id: int, provider_id: int) -> tuple[MakeUp, ...]:
        """What is left for a position, oldest first."""
        if contract.terms.make_up is None:
            return ()
        if contract.product_id not in self._credits:
            self._load(contract.product_id)
        offers = []
        for credit in self._credits[contract.product_id]:
            if (credit.buyer_id, credit.provider_id) != (buyer_id, provider_id):
                continue
            if not credit.usable_from <= contract.delivery_start < credit.expires_at:
                continue
            taken = self._taken.get((credit.contract_id, buyer_id, provider_id), {})
            left = credit.tokens - sum(tokens for taker, tokens in taken.items() if taker != contract.id)
            offers.append(
                MakeUp(
                    source=self.symbols[credit.contract_id],
                    tokens=max(left, 0),
                    notional_micros=credit.notional_micros,
                    bought_tokens=credit.bought_tokens,
                    charge_permille=credit.charge_permille,
                )
            )
        return tuple(offers)

    def take(
        self, contract: SettledContract, pair: tuple[int, int], offered: Iterable[MakeUp], outcome: PositionOutcome
    ) -> list[MakeUpUse]:
        """What a position took of what it was offered, as rows."""
        taken = dict(outcome.made_up_from)
        ids = {symbol: contract_id for contract_id, symbol in self.symbols.items()}
        uses = []
        for offer in offered:
            source_id, tokens = ids[offer.source], taken.get(offer.source, 0)
            self._taken.setdefault((source_id, *pair), {})[contract.id] = tokens
            uses.append(
                MakeUpUse(
                    run=self.run,
                    contract_id=contract.id,
                    source_contract_id=source_id,
                    buyer_id=pair[0],
                    provider_id=pair[1],
                    tokens=tokens,
                )
            )
        return uses

    def _load(self, product_id: int) -> None:
        rows = MakeUpCredit.objects.filter(
            product_id=product_id,
            run__kind__in=POSTED,
            run__state=RunState.PUBLISHED,
            run__period_end__lte=self.run.period_start,
        ).order_by("run_id")
        latest = {(row.contract_id, row.buyer_id, row.provider_id): row for row in rows}
        sources = {contract_id for contract_id, _, _ in latest}
        self.symbols |= dict(Contract.objects.filter(id__in=sources).values_list("id", "symbol"))
        self._credits[product_id] = sorted(
            latest.values(), key=lambda row: (row.usable_from, self.symbols[row.contract_id])
        )
        own = set(RunContract.objects.filter(run=self.run).values_list("contract_id", flat=True))
        uses = MakeUpUse.objects.filter(source_contract_id__in=sources, run__kind__in=POSTED).exclude(
            contract_id__in=own
        )
        taken: dict[Use, dict[int, int]] = defaultdict(dict)
        for use in uses.order_by("run_id"):  # the last run of a contract counts
            taken[use.source_contract_id, use.buyer_id, use.provider_id][use.contract_id] = use.tokens
        self._taken |= taken


def credit_row(
    run: SettlementRun,
    contract: SettledContract,
    make_up: MakeUpTerms,
    pair: tuple[int, int],
    bought: tuple[int, int],
    outcome: PositionOutcome,
) -> MakeUpCredit:
    """What a position may make up later, also if that is nothing. `bought`: its Q and N."""
    length = contract.delivery_end - contract.delivery_start
    return MakeUpCredit(
        run=run,
        contract_id=contract.id,
        product_id=contract.product_id,
        buyer_id=pair[0],
        provider_id=pair[1],
        tokens=outcome.credit_tokens,
        bought_tokens=bought[0],
        notional_micros=bought[1],
        charge_permille=PERMILLE - contract.terms.take_or_pay_permille,
        usable_from=contract.delivery_end,
        expires_at=contract.delivery_end + make_up.windows * length,
    )
