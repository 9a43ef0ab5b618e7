"""The seed of `make run`, and the bots that keep its market trading, against the real web process and sequencer."""

from __future__ import annotations

import io
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import monotonic, sleep

import pytest

from config.catalogue import BUYERS, MODELS, PROVIDERS
from config.clock import SimulatedClock
from config.environment import CHECKOUT
from config.first_market import BOT_KEYS_FILE, FEE_TIERS, WINDOW_SECONDS, WINDOWS_AHEAD, keep_bot_keys, seed
from config.live_market.bots import LiveMarket
from config.live_market.buyers import SWITCHED
from config.live_market.habits import CHANGES_PERMILLE, PERMILLE, Change
from config.live_market.providers import OFFER_POSTED, WINDOWS_AN_OFFER, Provider
from config.market_setup import issue_party_key
from config.rest_client import RestClient, RestRefused
from config.run import free_port
from config.supervisor import Supervisor, parse_procfile
from exchange.commands.list_due_windows import list_due_windows
from exchange.commands.place_due_offer_orders import place_due_offer_orders
from exchange.commands.post_offer import PostOffer, post_offer
from exchange.commands.set_listing_rule import pause_listing_rule
from exchange.commands.sweep_contract_life import sweep_contract_life
from exchange.models import (
    Contract,
    ContractState,
    DeadManSwitch,
    FeeSchedule,
    Fill,
    Intake,
    IntakeKind,
    ListingRule,
    Offer,
    OfferOrder,
    OfferState,
    Order,
)
from ledger.models import ActionLog, User
from ledger.parties.keys import authenticate, revoke_key
from ledger.selectors.parties import get_party
from settlement.metering.completeness import read_completeness
from settlement.metering.completeness_rules import CompletenessState
from settlement.models import Meter, UsageEvent
from tests.conftest import DatabaseUrls
from tests.ports import first_port

NOW = datetime(2026, 12, 1, 10, 3, tzinfo=UTC)
STEP, STEPS = timedelta(seconds=5), 40
SECONDS = 60


class Loaded(Random):
    """The die always shows the same face; with 0 whoever can cancel an order or reprice an offer does."""

    def __init__(self, face: int) -> None:
        super().__init__(4)
        self.face = face

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        return self.face if stop is None else start


@pytest.fixture
def told(database: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the seed of an empty database said."""
    hasher = "django.contrib.auth.hashers.MD5PasswordHasher"  # the real one is slow on purpose
    monkeypatch.setattr("django.conf.settings.PASSWORD_HASHERS", [hasher])
    lines: list[str] = []
    assert seed(lines.append, now=NOW)
    return lines


def test_the_seed_says_each_login_and_key_once(told: list[str]) -> None:
    names = {facts.code for facts in (*PROVIDERS, *BUYERS)} | {"auditor", "operator", "operator2"}
    assert (len(PROVIDERS), len(BUYERS)) == (4, 12)
    said = {line.split()[1]: line.split()[2:] for line in told if line.startswith("  ")}
    assert set(said) == names
    for name, (password, key) in said.items():
        assert User.objects.get(username=name).check_password(password)
        if name.startswith("operator"):
            assert key == "-"
        else:
            assert authenticate(key).party.code == name
    again: list[str] = []
    assert not seed(again.append, now=NOW + timedelta(days=1))
    assert len(again) == 1
    assert User.objects.count() == len(names)


def test_the_bots_keys_are_private_and_renewed_when_they_no_longer_work(told: list[str], tmp_path: Path) -> None:
    keys = keep_bot_keys(tmp_path, now=NOW)
    assert set(keys) == {facts.code for facts in (*PROVIDERS, *BUYERS)}
    path = tmp_path / BOT_KEYS_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not any(key in line for key in keys.values() for line in told)  # people's keys are others
    assert keep_bot_keys(tmp_path, now=NOW) == keys
    revoke_key(authenticate(keys["acorn"]), actor="user:operator", now=NOW)
    renewed = keep_bot_keys(tmp_path, now=NOW)
    assert {code for code in keys if keys[code] != renewed[code]} == {"acorn"}
    assert authenticate(renewed["acorn"]).party.code == "acorn"


def test_windows_are_listed_ahead_by_rules_that_the_next_start_leaves_alone(told: list[str]) -> None:
    assert Contract.objects.count() == WINDOWS_AHEAD * len(MODELS)
    list_due_windows(NOW + timedelta(minutes=10))
    assert Contract.objects.count() == (WINDOWS_AHEAD + 1) * len(MODELS)
    rule = ListingRule.objects.latest("id")
    pause_listing_rule(rule.pk, paused=True, reason="no buyers", actor="user:operator", now=NOW)
    seed(told.append, now=NOW + timedelta(minutes=20))
    assert Contract.objects.count() == (WINDOWS_AHEAD + 2) * len(MODELS) - 1
    assert list(ListingRule.objects.filter(paused=True)) == [rule]


def test_fees_have_three_tiers(told: list[str]) -> None:
    schedule = FeeSchedule.objects.get()
    assert (len(schedule.tiers), len(FEE_TIERS), schedule.product) == (3, 3, None)
    seed(told.append, now=NOW + timedelta(days=1))
    assert FeeSchedule.objects.get() == schedule


@contextmanager
def running(database: DatabaseUrls) -> Iterator[str]:
    """The web process and the sequencer on the test's database; yields their address."""
    port = free_port(first_port(8_500))
    env = database.environment() | {"PORT": str(port), "TOKENBOURSE_CLOCK": "simulated"}
    del env["DATABASE_OWNER_URL"]
    specs = parse_procfile((CHECKOUT / "Procfile").read_text(), env | {"TOKENBOURSE_HOME": "unused"})
    wanted = [spec for spec in specs if spec.name in ("web", "sequencer")]
    log = io.StringIO()
    with Supervisor(wanted, env, output=log, grace_seconds=2):
        yield f"http://127.0.0.1:{port}"
    assert "Traceback" not in log.getvalue(), log.getvalue()


def wait_for(holds: Callable[[], bool], what: str) -> None:
    deadline = monotonic() + SECONDS
    while not holds():
        assert monotonic() < deadline, what
        sleep(0.1)


def web_answers(address: str) -> bool:
    try:
        return bool(RestClient(address).get("/api/v1/time"))
    except (OSError, RestRefused):
        return False


def pass_time(until: datetime) -> None:
    """What the beat rings, until then."""
    SimulatedClock().set(until)
    list_due_windows(until)
    sweep_contract_life(until)
    place_due_offer_orders(until)


@pytest.mark.timeout(2 * SECONDS)
def test_the_bots_trade_and_report(
    told: list[str], database: DatabaseUrls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "config.live_market")
    keys = keep_bot_keys(tmp_path, now=NOW)
    SimulatedClock().set(NOW)
    with running(database) as address, LiveMarket(address, keys, random=Random(4)) as market:
        wait_for(lambda: web_answers(address), "the web process answers")
        pass_time(NOW)
        wait_for(lambda: not Contract.objects.exclude(state=ContractState.TRADING).exists(), "gates open")
        for step in range(STEPS):
            pass_time(NOW + STEP * step)
            market.step(NOW + STEP * step)
        check_what_was_ordered()
        check_what_was_offered()
        assert "× post-only bid" in caplog.text
        assert "was refused" not in caplog.text
        window = Contract.objects.get(id=Fill.objects.earliest("id").contract_id)
        pass_time(window.gate_close)
        wait_for(lambda: Contract.objects.get(id=window.id).state == ContractState.CLOSED, "the gate closes")
        for seconds in (30, 35, 40):  # the first of them only tells the meters since when
            pass_time(window.delivery_start + timedelta(seconds=seconds))
            market.step(window.delivery_start + timedelta(seconds=seconds))
        reported = UsageEvent.objects.filter(contract_id=window.id, quarantine_reason=None)
        sides = Meter.objects.filter(id__in=reported.values("meter_id")).values_list("side", flat=True)
        assert set(sides) == {"buyer", "provider"}
        assert set(reported.values_list("kind", flat=True)) >= {"started", "completed"}
        pass_time(window.delivery_end)
        market.step(window.delivery_end)
        meters = read_completeness(window.id).meters
        assert {meter.side.value for meter in meters} == {"buyer", "provider"}
        assert {meter.completeness.state for meter in meters} == {CompletenessState.COMPLETE}


def check_what_was_ordered() -> None:
    """Every kind of order was placed, and what stood was amended and cancelled."""
    bought = Order.objects.filter(side="buy")
    assert set(bought.values_list("time_in_force", flat=True)) == {"gtc", "gtd", "ioc", "fok"}
    assert bought.filter(post_only="reprice").exists()
    assert bought.filter(order_type="market", budget__isnull=False).exists()
    assert not bought.filter(status="rejected").exists()
    buyers = [get_party(facts.code).id for facts in BUYERS]
    asked = set(Intake.objects.filter(party_id__in=buyers).values_list("kind", flat=True))
    assert {IntakeKind.AMEND_ORDER, IntakeKind.CANCEL_ORDER, IntakeKind.CANCEL_ALL_AFTER} <= asked
    switched = DeadManSwitch.objects.values_list("party_id", flat=True)
    assert set(switched) == {get_party(code).id for code in SWITCHED}


def check_what_was_offered() -> None:
    """Each product of each provider, once in each window, with a second thought on a price."""
    windows = sum(len(facts.weights) for facts in PROVIDERS) * WINDOWS_AHEAD
    assert Offer.objects.count() * WINDOWS_AN_OFFER == windows
    assert OfferOrder.objects.values("offer_id", "contract_id").distinct().count() == windows
    assert not Order.objects.filter(side="sell", status="rejected").exists()
    assert ActionLog.objects.filter(actor__startswith="bot:", action="change_offer").exists()


def test_a_provider_pauses_its_offers_and_resumes_them(told: list[str]) -> None:
    (aurora, *_), done = PROVIDERS, Counter[str]()
    sweep_contract_life(NOW)
    dice = Loaded(PERMILLE - 1)
    bot = Provider(aurora, dice, done)
    seen = []
    for dice.face in (PERMILLE - 1, CHANGES_PERMILLE[Change.REPRICE], PERMILLE - 1, 0, PERMILLE - 1):
        bot.act(NOW)
        seen.append(set(Offer.objects.values_list("state", flat=True)))
    assert seen == [{"open"}, {"paused"}, {"paused"}, {"open"}, {"open"}]
    assert done == {OFFER_POSTED: 4, Change.PAUSE: 4, Change.RESUME: 4}


@pytest.mark.timeout(2 * SECONDS)
def test_what_people_post_is_left_to_them(told: list[str], database: DatabaseUrls, tmp_path: Path) -> None:
    SimulatedClock().set(NOW)
    provider, buyer = get_party("aurora"), get_party("acorn")
    keys, person = keep_bot_keys(tmp_path, now=NOW), issue_party_key(buyer, "a person's", now=NOW)
    with (
        running(database) as address,
        LiveMarket(address, keys, random=Loaded(0)) as market,
        RestClient(address, person) as client,
    ):
        wait_for(lambda: web_answers(address), "the web process answers")
        sweep_contract_life(NOW)
        wait_for(lambda: not Contract.objects.exclude(state=ContractState.TRADING).exists(), "gates open")
        contract = Contract.objects.filter(product__code="DEEPSEEK-CHAT.US-WEST.STD").earliest("delivery_start")
        start = contract.delivery_start
        posted = post_offer(
            PostOffer(provider.id, contract.product.code, WINDOW_SECONDS, start, start, 3, contract.band_high_ticks),
            actor="user:aurora",
            now=NOW,
        )
        order = {"contract": contract.symbol, "side": "buy", "price": "0.14", "lots": "1", "time_in_force": "gtc"}
        placed = client.post("/api/v1/orders", order | {"client_order_id": "mine"})
        for _ in range(20):
            market.step(NOW)
        repriced = set(ActionLog.objects.filter(action="change_offer").values_list("subject", flat=True))
        assert repriced == {f"offer:{offer.id}" for offer in Offer.objects.exclude(id=posted.offer_id)}
        assert Offer.objects.get(id=posted.offer_id).state == OfferState.OPEN
        assert Order.objects.get(id=placed["order_id"]).status == "open"
