"""A provider's default is declared at the same instant at which it offers, or is qualified."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from exchange.commands import decide_request, post_offer, qualify_provider
from exchange.commands.request_decision import RequestDecision, request_decision
from exchange.errors import NotQualified, ProviderInDefault
from exchange.models import DecisionKind, Offer, Order, Qualification
from tests.concurrency.test_transfers_race import PATIENCE, started, wait_until_one_waits_for_a_lock
from tests.integration.exchange.market import ACTOR, CODE, HOUR, NOW, START, Market
from tests.two_operators import deposit


@pytest.fixture
def market(database: Any) -> Market:
    return Market()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@contextmanager
def halted_before_its_commit(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> Iterator[threading.Event]:
    """A command of this module stops where it writes its action down; inside, it has come there when that is set."""
    arrived, go_on = threading.Event(), threading.Event()
    record = module.record_action

    def halted(**action: Any) -> None:
        record(**action)
        arrived.set()
        assert go_on.wait(PATIENCE)

    monkeypatch.setattr(module, "record_action", halted)
    try:
        yield arrived
    finally:
        go_on.set()


def declaring(market: Market) -> Callable[[], Any]:
    """The default's second half."""
    wanted = RequestDecision(DecisionKind.DEFAULT_PROVIDER, "provider-1", "power failure")
    asked = request_decision(wanted, actor="one", now=NOW)
    return lambda: decide_request.approve_decision(asked.pk, actor="other", now=NOW)


def offering(market: Market) -> Callable[[], Any]:
    command = post_offer.PostOffer(market.provider.id, CODE, HOUR, START, START, 5, 400)
    return lambda: post_offer.post_offer(command, actor=ACTOR, now=NOW)


def require_free_head() -> None:
    """Nobody has locked the ledger's head."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT FROM ledger_ledgerhead FOR UPDATE NOWAIT")
    except OperationalError:
        pytest.fail("somebody waits with the ledger's head in its hands")


def both(market: Market, first: Future[Any], second: Future[Any]) -> None:
    first.result(PATIENCE)
    second.exception(PATIENCE)
    market.results([])


def test_an_offer_that_is_just_being_posted_is_withdrawn_with_the_others(
    market: Market, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare = declaring(market)
    with halted_before_its_commit(monkeypatch, post_offer) as posted:
        offer = started(pool, offering(market))
        assert posted.wait(PATIENCE)
        default = started(pool, declare)
        wait_until_one_waits_for_a_lock()
        require_free_head()
        deposit(market.provider.id, market.currency.id, 1, reference="meanwhile", now=NOW)
    both(market, offer, default)
    assert default.result().state == "approved"
    assert list(Offer.objects.values_list("state", flat=True)) == ["withdrawn"]
    assert not Order.objects.filter(status="open").exists()


def test_whoever_offers_while_its_default_is_declared_is_refused(
    market: Market, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare = declaring(market)
    with halted_before_its_commit(monkeypatch, decide_request) as declared:
        default = started(pool, declare)
        assert declared.wait(PATIENCE)
        offer = started(pool, offering(market))
        wait_until_one_waits_for_a_lock()
    both(market, default, offer)
    assert isinstance(offer.exception(), NotQualified)
    assert not Offer.objects.exists()
    assert not Order.objects.exists()


def test_whoever_is_qualified_while_its_default_is_declared_is_refused(
    market: Market, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare = declaring(market)
    known = Qualification.objects.get()
    texts = {name: getattr(known, name) for name in qualify_provider.TEXTS}
    again = qualify_provider.QualifyProvider(
        market.provider.id, CODE, valid_from=known.valid_from, valid_until=known.valid_until, **texts
    )

    def qualify() -> Any:
        return qualify_provider.qualify_provider(again, actor=ACTOR, now=NOW)

    with halted_before_its_commit(monkeypatch, decide_request) as declared:
        default = started(pool, declare)
        assert declared.wait(PATIENCE)
        qualified = started(pool, qualify)
        wait_until_one_waits_for_a_lock()
    both(market, default, qualified)
    assert isinstance(qualified.exception(), ProviderInDefault)
    assert not Qualification.objects.filter(revoked_at=None).exists()
