"""A meter's keys by the web: its own party's staff and operators, nobody else."""

from __future__ import annotations

from django.urls import reverse

from ledger.models import ActionLog
from settlement.metering.signatures import base64url, thumbprint
from settlement.models import Meter, MeterKey
from tests.integration.admin.conftest import Site
from tests.integration.settlement.test_signed_calls import PUBLIC

ACTIONS = ("register-key", "require-signatures", "allow-unsigned")


def url(page: str, row: Meter | MeterKey) -> str:
    """The address of an act on a meter or key, as the admin makes it from `url_path`."""
    return f"/admin/settlement/{row._meta.model_name}/{row.pk}/{page}/"


def meter() -> Meter:
    return Meter.objects.get(code="meter/provider-1")


def test_staff_registers_a_key_holds_the_meter_to_it_and_revokes_it(site: Site) -> None:
    page = reverse("admin:settlement_meter_change", args=(meter().pk,))
    assert "none" in site.provider.text(page)
    refused = site.provider.post(url("register-key", meter()), public_key="no key")
    assert refused.status_code == 422
    assert "base64url" in refused.content.decode()
    early = site.provider.post(url("require-signatures", meter()), reason="Our agreement.")
    assert early.status_code == 422
    assert "has no key" in early.content.decode()
    assert site.provider.post(url("register-key", meter()), public_key=base64url(PUBLIC)).status_code == 302
    assert thumbprint(PUBLIC) in site.provider.text(page)
    assert site.provider.post(url("require-signatures", meter()), reason="Our agreement.").status_code == 302
    assert meter().signature_required
    assert site.provider.get(url("require-signatures", meter())).status_code == 403  # it is required already
    key = MeterKey.objects.get()
    shown = site.provider.text(reverse("admin:settlement_meterkey_change", args=(key.pk,)))
    assert base64url(PUBLIC) in shown
    assert site.provider.post(url("revoke", key), reason="").status_code == 422
    assert site.provider.post(url("revoke", key), reason="The host was lost.").status_code == 302
    key.refresh_from_db()
    assert key.revoked_by == "user:pia"
    assert site.provider.get(url("revoke", key)).status_code == 403
    assert site.provider.post(url("allow-unsigned", meter()), reason="Until we have a new one.").status_code == 302
    acts = ActionLog.objects.filter(subject="meter:meter/provider-1", actor="user:pia").order_by("id")
    assert list(acts.values_list("action", "reason")) == [
        ("register_meter_key", ""),
        ("require_signatures", "Our agreement."),
        ("revoke_meter_key", "The host was lost."),
        ("allow_unsigned_calls", "Until we have a new one."),
    ]


def test_an_operator_may_and_others_may_not(site: Site) -> None:
    denied = {name: visitor for name, visitor in site.roles().items() if name not in ("provider", "operator")}
    for name, visitor in (denied | {"other provider": site.other_provider}).items():
        answers = [visitor.post(url("register-key", meter()), public_key=base64url(PUBLIC))]
        answers += [visitor.post(url(page, meter()), reason="x") for page in ACTIONS[1:]]
        for answer in answers:
            assert answer.status_code in (302, 403, 404), name
            assert answer.status_code != 302 or "/login/" in answer["Location"], name
    assert not MeterKey.objects.exists()
    assert site.operator.post(url("register-key", meter()), public_key=base64url(PUBLIC)).status_code == 302
    key = MeterKey.objects.get()
    for name, visitor in (denied | {"other provider": site.other_provider}).items():
        answer = visitor.post(url("revoke", key), reason="x")
        assert answer.status_code in (302, 403, 404), name
    key.refresh_from_db()
    assert key.revoked_at is None
    assert site.operator.post(url("revoke", key), reason="Asked for by the party.").status_code == 302


def test_keys_are_seen_by_their_own_party_and_by_those_who_read_everything(site: Site) -> None:
    site.provider.post(url("register-key", meter()), public_key=base64url(PUBLIC))
    listed = reverse("admin:settlement_meterkey_changelist")
    for visitor, sees in ((site.provider, True), (site.operator, True), (site.auditor, True), (site.buyer, False)):
        assert (thumbprint(PUBLIC) in visitor.text(listed)) is sees
    assert site.other_provider.get(reverse("admin:settlement_meterkey_change", args=(1,))).status_code in (302, 404)
