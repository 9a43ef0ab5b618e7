"""A form of the admin that does not say what it does cannot be shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exchange.admin.offer_form import OfferForm
from ledger.admin.command_forms import CommandForm, Done, ReasonForm
from ledger.parties.access import Access

NOBODY = Access("user:nobody", False, False, frozenset(), frozenset())
NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("kind", [CommandForm, ReasonForm, OfferForm])
def test_a_kind_of_form_is_none(kind: type[CommandForm]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind(access=NOBODY, now=NOW)


def test_an_offer_that_is_not_understood_has_no_form() -> None:
    class Silent(OfferForm):
        def act(self) -> Done:
            return Done("", "")

    with pytest.raises(TypeError, match="draft"):
        Silent(access=NOBODY, now=NOW)  # type: ignore[abstract]


def test_one_that_acts_keeps_the_fields_of_its_kind() -> None:
    class Halting(ReasonForm):
        def act(self) -> Done:
            return Done(str(self.cleaned_data["reason"]), "/")

    assert list(Halting(access=NOBODY, now=NOW).fields) == ["reason"]
    assert Halting({"reason": "Because."}, access=NOBODY, now=NOW).perform() == Done("Because.", "/")
