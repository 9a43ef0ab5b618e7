"""One trading day from the first listing to the last verified statement, on a stage that is already set."""

from __future__ import annotations

from pathlib import Path

from config.catalogue import BUYERS, MODELS, PROVIDERS
from config.demo import figures
from config.demo.assignment import assign
from config.demo.bots import Bots
from config.demo.clockwork import Clockwork
from config.demo.closing import STEPS, Closing, Settled
from config.demo.collecting import Collected, collect_statements, recompute_run
from config.demo.display import Display
from config.demo.evidence import collect_evidence
from config.demo.faults import Told, inject
from config.demo.forecast import Supply, by_window, forecast, plan_supply
from config.demo.judging import judge_metering
from config.demo.metering import report_usage
from config.demo.report import Metering, Report, UsageEvents
from config.demo.session import Session, day_before
from config.demo.stage import Stage
from config.demo.stopwatch import Stopwatch
from config.demo.trace import Trace
from config.demo.trading import list_contracts, read_holdings, trade
from config.demo.usage import ArrivalPlan, plan_arrivals
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

    keys = _set_up(_plan(trace, supplies, moments[0]), moments, session, display)
    clockwork = Clockwork(stage.check)
    with Bots(stage.base_url, keys) as bots:
        with stopwatch.timing("trading"), display.part("Trading", ROUNDS * len(wants)) as advance:
            trade(session, moments, wants, supplies, bots=bots, clockwork=clockwork, seed=seed, advance=advance)
        with stopwatch.timing("metering"):
            told = list(inject(assign(windows, read_holdings(bots), BUYERS, seed=seed), seed=seed))
            plan = plan_arrivals(told, moments, seed=seed)
            with display.part("Reporting usage", plan.count) as advance:
                events = report_usage(plan, moments, bots=bots, clockwork=clockwork, seed=seed, advance=advance)
        with stopwatch.timing("settlement"):
            settled, collected = _settle(moments, clockwork, out, bots, display)
        with display.part("Computing the final run anew", 1) as advance:
            recomputed = recompute_run(settled.final, out, bots=bots)
            advance()
        with display.part("Auditing the ledger", 3) as advance:
            evidence = collect_evidence(out, bots=bots, advance=advance)
    metering = _judge_metering(settled, told, plan, events, display)
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
        metering=metering,
        contract_tokens=figures.read_contract_tokens(settled),
        micros=figures.read_micros(settled),
        left_over=figures.read_left_over(),
        ledger=figures.read_ledger(),
        runs=figures.read_runs(),
        dispute=figures.read_dispute(settled),
        payments=settled.payments,
        statements=collected.statements,
        second_opinions=collected.others,
        recomputed=recomputed,
        evidence=evidence,
        seconds=stopwatch.seconds(),
    )


def _set_up(plan: MarketPlan, moments: list[Window], session: Session, display: Display) -> dict[str, str]:
    """The keys of the parties."""
    with display.part("Setting up the market", 2) as advance:
        keys = set_up_market(plan, logins=False, now=session.listing).keys
        advance()
        list_contracts(moments, session, now=session.listing)
        advance()
    return keys


def _settle(
    moments: list[Window], clockwork: Clockwork, out: Path, bots: Bots, display: Display
) -> tuple[Settled, Collected]:
    with display.part("Settling, disputing, paying", STEPS) as advance:
        closing = Closing(moments, clockwork, advance)
        settled = closing.settle(out, bots=bots)
    with display.part("Verifying statements", None) as advance:
        collected = collect_statements(out, bots=bots, advance=advance)
    closing.release(settled)
    return settled, collected


def _judge_metering(
    settled: Settled, told: list[Told], plan: ArrivalPlan, events: UsageEvents, display: Display
) -> Metering:
    with display.part("Checking the metering", 1) as advance:
        metering = judge_metering(settled.final, told, plan, events)
        advance()
    return metering


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
