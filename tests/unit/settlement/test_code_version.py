from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from importlib import resources
from importlib.util import find_spec

from settlement.code_version import FIGURE_MODULES, digest_of
from settlement.rules import CODE_VERSION

ROOT = "settlement.runs.figures"
OURS = {"config", "exchange", "ledger", "settlement"}


def test_the_code_version_covers_all_that_decides_figures() -> None:
    assert sorted(reached(ROOT)) == list(FIGURE_MODULES), "bring FIGURE_MODULES up to date"


def test_the_code_version_is_the_same_for_the_same_sources_alone() -> None:
    assert digest_of(reversed(FIGURE_MODULES)) == CODE_VERSION
    assert re.fullmatch("[0-9a-f]{16}", CODE_VERSION)
    assert digest_of(FIGURE_MODULES[1:]) != CODE_VERSION


def reached(root: str) -> set[str]:
    """The module and all of ours that it comes to import; packages have nothing in them here."""
    found: set[str] = set()
    ahead = [root]
    while ahead:
        module = ahead.pop()
        if module not in found:
            found.add(module)
            ahead += imported(module)
    return found


def imported(module: str) -> Iterable[str]:
    package, _, name = module.rpartition(".")
    for node in ast.walk(ast.parse(resources.files(package).joinpath(f"{name}.py").read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in OURS)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _is_module(inner) else node.module


def _is_module(name: str) -> bool:
    package = find_spec(name.rpartition(".")[0])
    return package is not None and package.submodule_search_locations is not None and find_spec(name) is not None
