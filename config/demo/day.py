"""One trading day from the first listing to the last verified statement, on a stage that is already set."""

from __future__ import annotations

from pathlib import Path

from config.catalogue import BUYERS, MODELS, PROVIDERS
from config.demo import figures
from config.demo.assignment import assign
from config.demo.bots import Bots
from config.demo.clockwork import Clockwork
from config.demo.closing import collect_statements, settle
from config.demo.display import Display
from config.demo.evidence import collect_evidence
from config.demo.forecast import Supply, by_window, forecast, plan_supply
from config.demo.metering import report_usage
from config.demo.report import Report
from config.demo.session import day_before
from config.demo.stage import Stage
from config.demo.stopwatch import Stopwatch
from config.demo.trace import Trace
from config.demo.trading import list_contracts, read_holdings, trade
from config.demo.usage import plan_arrivals
from config.market_setup import MarketPlan, set_up_market
from exchange.windows import Window
from ledger.export.formats import WRITERS, write_file
from ledger.selectors.journal import extract_journal

DEPOSIT_MICROS = 100_000 * 1_000_000
ROUNDS = 3  # of haggling


def run_day(trace: Trace, seed: int, stage: Stage, out: Path, *, stopwatch: Stopwatch, display: Display) -> Report:
    """The whole day. Raises what its parts do: nothing of it is repaired, since nothing of it should fail."""
    windows = by_window(trace.requests)
    moments = list(windows)
    session = day_before(moments[0])
    wants = forecast(windows, BUYERS, MODELS, lot_tokens=trace.lot_tokens, seed=seed)
    supplies = plan_supply(wants, PROVIDERS, MODELS)

    with display.part("Setting up the market", 2) as advance:
        now = session.listing
        keys = set_up_market(_plan(trace, supplies, moments[0]), logins=False, now=now).keys
        advance()
        list_contracts(moments, session, now=now)
        advance()
    clockwork = Clockwork(stage.check)
    with Bots(stage.base_url, keys) as bots:
        with stopwatch.timing("trading"), display.part("Trading", ROUNDS * len(wants)) as advance:
            trade(session, moments, wants, supplies, bots=bots, clockwork=clockwork, seed=seed, advance=advance)
        with stopwatch.timing("metering"):
            uses = assign(windows, read_holdings(bots), BUYERS, seed=seed)
            arrivals = plan_arrivals(uses, moments, seed=seed)
            with display.part("Reporting usage", sum(arrival.count for arrival in arrivals)) as advance:
                events = report_usage(arrivals, moments, bots=bots, clockwork=clockwork, advance=advance)
        with stopwatch.timing("settlement"):
            with display.part("Settling", 2) as advance:
                settled = settle(moments, clockwork=clockwork, advance=advance)
            with display.part("Verifying statements", None) as advance:
                statements = collect_statements(out, bots=bots, advance=advance)
        with display.part("Auditing the ledger", 3) as advance:
            evidence = collect_evidence(out, bots=bots, advance=advance)
    _export_journal(out, display)
    trading = figures.read_trading()
    return Report(
        trace=trace.name,
        seed=seed,
        raw_tokens=figures.read_raw_tokens(moments),
        orders=trading.orders,
        fills=trading.fills,
        lots_traded=trading.lots,
        usage_events=events,
        contract_tokens=figures.read_contract_tokens(settled),
        micros=figures.read_micros(settled),
        left_over=figures.read_left_over(),
        ledger=figures.read_ledger(),
        statements=statements,
        evidence=evidence,
        seconds=stopwatch.seconds(),
    )


def _export_journal(out: Path, display: Display) -> None:
    with display.part("Exporting the journal", len(WRITERS)) as advance:
        journal = extract_journal()
        for name in WRITERS:
            write_file(journal, name, out / f"journal.{name}")
            advance()


def _plan(trace: Trace, supplies: list[Supply], window: Window) -> MarketPlan:
    capacity: dict[str, dict[str, int]] = {provider.code: {} for provider in PROVIDERS}
    for supply in supplies:
        capacity[supply.provider][supply.product] = supply.lots * trace.lot_tokens
    return MarketPlan(trace.lot_tokens, trace.lot_tokens, window.seconds, capacity, DEPOSIT_MICROS)
