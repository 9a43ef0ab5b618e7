"""The terms that the products of tests and benchmarks have: a lot at one tick is worth 1,000 micros."""

from __future__ import annotations

from exchange.terms import ModelBuild, ProductTerms, ServiceClass

TERMS = ProductTerms(
    model=ModelBuild("Qwen3-235B-A22B", "fp8", 131_072, "qwen3"),
    region="cn-east",
    service_class=ServiceClass("standard", 2_000, 30, 995_000),
    weights={"input_uncached": 1_000, "input_cache_read": 100, "output_visible": 4_000},
    lot_tokens=100_000,
    max_request_tokens=100_000,
    tick_micros=10_000,
    currency="CNY",
    take_or_pay_permille=600,
    damages_permille=500,
    damages_cap_permille=1_000,
    burst_permille=1_500,
    refused_output_tokens=500,
    buyer_fee_ppm=2_000,
    provider_fee_ppm=3_000,
    tax_category="standard",
    tax_rate_permille=60,
)
