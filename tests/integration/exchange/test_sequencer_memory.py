"""Whatever comes, in batches of whatever size: what a sequencer remembers is what a restart would find."""

from __future__ import annotations

import random
import secrets
import threading
from datetime import timedelta

from exchange.matching.invariants import check_book
from exchange.models import IntakeKind, Order
from exchange.sequencer.intake import Submission, submit_all
from exchange.sequencer.loop import Sequencer
from exchange.sequencer.results import await_results
from ledger.models import Party
from tests.audits import audit, found_by
from tests.integration.exchange.checks import check_exchange
from tests.integration.exchange.commands import about, check_memory, order
from tests.integration.exchange.market import Market

COMMANDS = 400


def drawn_order(market: Market, draw: random.Random, party: Party) -> Submission:
    side = "sell" if party == market.provider else "buy"
    kind = draw.choice(["gtc", "gtc", "gtc", "gtd", "ioc", "fok", "market", "budget"])
    more: dict[str, object] = {
        "self_trade": draw.choice(["cancel_newest", "cancel_oldest", "cancel_both", "decrement"]),
        "group_id": draw.choice([party.id, party.id, market.provider.id]),
    }
    price, lots = draw.randint(395, 405), draw.randint(1, 5)
    if kind == "gtd":
        expires_at = market.clock.at + timedelta(seconds=draw.randint(1, 20))
        more |= {"time_in_force": "gtd", "expires_at": expires_at.isoformat()}
    elif kind == "market" or (kind == "budget" and side == "sell"):
        more |= {"order_type": "market", "time_in_force": "ioc"}
    elif kind == "budget":
        more |= {"order_type": "market", "time_in_force": "ioc", "budget": draw.randint(300, 3_000)}
        lots = int(str(more["budget"]))
    else:
        more["time_in_force"] = kind
    if more.get("time_in_force") in {"gtc", "gtd"}:
        more["post_only"] = draw.choice(["no", "no", "reject", "reprice"])
    return order(market, party, side, lots, price, **more)


def drawn_command(market: Market, draw: random.Random, parties: list[Party]) -> Submission:
    party = draw.choice(parties)
    mine = list(Order.objects.filter(party_id=party.id, status="open").values_list("id", flat=True))
    what = draw.random()
    if what < 0.15 and mine:
        lots, price = draw.randint(0, 6), draw.randint(395, 405)
        return about(market, IntakeKind.AMEND_ORDER, party, order_id=draw.choice(mine), price_ticks=price, lots=lots)
    if what < 0.25 and mine:
        return about(market, IntakeKind.CANCEL_ORDER, party, order_id=draw.choice(mine))
    if what < 0.27:
        return about(market, IntakeKind.CANCEL_ALL, party)
    if what < 0.31:
        return about(market, IntakeKind.CANCEL_ALL_AFTER, party, seconds=draw.randint(0, 5))
    return drawn_order(market, draw, party)


def test_memory_is_what_is_stored(market: Market) -> None:
    seed = secrets.randbits(32)
    print("seed", seed)
    draw = random.Random(seed)
    parties = [market.provider, *(market.party(f"buyer-{i}", micros=20_000_000) for i in range(4))]
    sequencer = Sequencer(market.clock)
    sequencer.take_over(threading.Event())
    seqs: list[int] = []
    while len(seqs) < COMMANDS:
        market.clock.at += timedelta(seconds=draw.choice([0, 0, 1, 3]))
        wanted = [drawn_command(market, draw, parties) for _ in range(draw.randint(1, 24))]
        seqs += submit_all(wanted, now=market.clock.at)
        while sequencer.step():
            pass
        check_memory(sequencer)
        assert sequencer._market is not None
        for live in sequencer._market.contracts.values():
            check_book(live.book)
    answers = await_results(seqs, timeout_s=0)
    assert {answer["status"] for answer in answers.values()} <= {"accepted", "refused"}
    assert len(answers) == len(seqs)
    check_exchange()
    assert found_by(audit()) == {}
