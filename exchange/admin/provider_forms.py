"""Forms for sites and qualifications."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.urls import reverse

from exchange.commands.qualify_provider import (
    QualifyProvider,
    RevokeQualification,
    qualify_provider,
    revoke_qualification,
)
from exchange.commands.register_site import RegisterSite, register_site
from exchange.models import Product, Qualification
from ledger.admin.command_forms import (
    CommandForm,
    Done,
    ReasonForm,
    choice_field,
    moment_field,
    paragraph_field,
    text_field,
)
from ledger.models import Party, PartyKind

USUAL_VALIDITY = timedelta(days=365)


class RegisterSiteForm(CommandForm):
    title = "Register a site"
    intro = "A place where you turn power into tokens. Its capacity is declared next."
    submit = "Register the site"

    provider = choice_field("Provider")
    name = text_field("Name", max_length=80)
    region = text_field("Region", help_text="Such as cn-east.", max_length=40)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        own = Party.objects.filter(pk__in=self.access.provider_ids).order_by("name")
        self.choose_from("provider", [(str(party.pk), party.name) for party in own])

    def act(self) -> Done:
        data = self.cleaned_data
        command = RegisterSite(int(data["provider"]), data["name"], data["region"])
        site = register_site(command, actor=self.access.actor, now=self.now)
        url = reverse("admin:exchange_capacitydeclaration_add")
        return Done(f"{site.name} is registered. Declare what it can sustain.", f"{url}?site={site.pk}")


class QualifyProviderForm(CommandForm):
    title = "Qualify a provider"
    intro = "A provider may sell a product while it is qualified for it. Its buyers learn the endpoint at the gate."
    submit = "Qualify the provider"
    columns = True

    provider_id = choice_field("Provider")
    product_code = choice_field("Product")
    endpoint_url = text_field(
        "Endpoint", max_length=200, help_text="Base URL of the provider's interface.", inputmode="url"
    )
    model_name = text_field("Model name", max_length=120, help_text="As requests to the endpoint must name it.")
    access_words = paragraph_field("How access is granted", help_text="In words a buyer can follow.", rows=3)
    entitlement_attested_by = text_field("Entitlement to sell attested by", max_length=120)
    probe_evidence = paragraph_field("What probes found", required=False, rows=3)
    valid_from = moment_field("Valid from")
    valid_until = moment_field("Valid until")

    field_of: ClassVar[Mapping[str, str]] = {"access": "access_words"}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        providers = Party.objects.filter(kind=PartyKind.PROVIDER).order_by("name")
        self.choose_from("provider_id", [(str(party.pk), party.name) for party in providers])
        codes = Product.objects.order_by("code").values_list("code", flat=True)
        self.choose_from("product_code", [(code, code) for code in codes])
        self.initial.setdefault("valid_from", self.now)
        self.initial.setdefault("valid_until", self.now + USUAL_VALIDITY)

    def act(self) -> Done:
        data = dict(self.cleaned_data)
        access, provider_id = data.pop("access_words"), int(data.pop("provider_id"))
        command = QualifyProvider(provider_id=provider_id, access=access, **data)
        qualification = qualify_provider(command, actor=self.access.actor, now=self.now)
        url = reverse("admin:exchange_qualification_change", args=(qualification.pk,))
        return Done(f"{qualification.provider} may sell {qualification.product}.", url)


class RevokeQualificationForm(ReasonForm):
    title = "Revoke a qualification"
    intro = "The provider may sell the product no more. What it has sold, it still owes."
    submit = "Revoke the qualification"
    dangerous = True

    def __init__(self, *arguments: Any, qualification: Qualification, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.qualification = qualification

    def act(self) -> Done:
        command = RevokeQualification(self.qualification.pk, self.cleaned_data["reason"])
        revoke_qualification(command, actor=self.access.actor, now=self.now)
        url = reverse("admin:exchange_qualification_change", args=(self.qualification.pk,))
        return Done("The qualification is revoked.", url)
