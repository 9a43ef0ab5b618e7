"""Addresses of the market's pages."""

from __future__ import annotations

from django.urls import path

from exchange import pages

urlpatterns = [
    path("", pages.market, name="market"),
    path("products/<str:code>/", pages.product, name="product"),
    path("contracts/<path:symbol>/", pages.contract, name="contract"),
]
