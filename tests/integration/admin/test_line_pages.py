"""The line of commands and what was prevented, in the admin: found from the sidebar, and told in full."""

from __future__ import annotations

from exchange.models import Contract, IntakeKind, PreventedMatch, SetAside
from exchange.sequencer.intake import Submission, submit, submit_all
from exchange.sequencer.loop import drain
from tests.integration.admin.conftest import Site
from tests.integration.settlement.trading_day import ACTOR, NOW, SYMBOL


def test_a_command_set_aside_is_shown_with_its_reason(site: Site) -> None:
    contract, buyer = Contract.objects.get(symbol=SYMBOL), site.day.parties["buyer-1"]
    seq = submit(Submission(IntakeKind.PLACE_ORDER, contract.id, ACTOR, {"side": "up"}, buyer.id), now=NOW).seq
    drain(site.day.clock)
    assert SetAside.objects.get().seq == seq
    for reader in (site.operator, site.auditor):
        assert 'href="/admin/exchange/setaside/"' in reader.text("/admin/")
        listed = reader.text("/admin/exchange/setaside/")
        for told in (f"/admin/exchange/setaside/{seq}/change/", SYMBOL, "place_order", ACTOR):
            assert told in listed, told
        shown = reader.text(f"/admin/exchange/setaside/{seq}/change/")
        assert "KeyError: &#x27;up&#x27;" in shown
        assert f'href="/admin/exchange/intake/{seq}/change/"' in shown
        assert f"/admin/exchange/setaside/{seq}/change/" in reader.text(f"/admin/exchange/setaside/?q={seq}")
    assert "/admin/exchange/setaside/" not in site.buyer.text("/admin/")


def test_prevented_matches_are_found_from_the_sidebar(site: Site) -> None:
    contract, buyer = Contract.objects.get(symbol=SYMBOL), site.day.parties["buyer-1"]
    group = {"group_id": buyer.id, "time_in_force": "gtc", "overage_permille": 0, "lots": 1, "price_ticks": 410}
    wanted = [
        Submission(IntakeKind.PLACE_ORDER, contract.id, ACTOR, group | {"side": side}, party.id)
        for party, side in ((site.day.parties["provider-1"], "sell"), (buyer, "buy"))
    ]
    sold, bought = submit_all(wanted, now=NOW)
    drain(site.day.clock)
    match = PreventedMatch.objects.get()
    for reader in (site.operator, site.auditor):
        assert 'href="/admin/exchange/preventedmatch/"' in reader.text("/admin/")
        listed = reader.text("/admin/exchange/preventedmatch/")
        for told in (
            f"/admin/exchange/preventedmatch/{match.pk}/change/",
            SYMBOL,
            "cancel_newest",
            str(sold),
            str(bought),
        ):
            assert told in listed, told
    assert "/admin/exchange/preventedmatch/" not in site.provider.text("/admin/")


def test_a_command_about_a_party_names_no_contract(site: Site) -> None:
    buyer = site.day.parties["buyer-1"]
    seq = submit(Submission(IntakeKind.CANCEL_ALL, None, ACTOR, {}, buyer.id), now=NOW).seq
    for page in ("/admin/exchange/intake/", f"/admin/exchange/intake/{seq}/change/"):
        assert "None" not in site.operator.text(page), page
