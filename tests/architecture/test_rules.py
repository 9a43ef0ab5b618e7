"""Rules of the house as tests. Each finder is also run on a planted violation, to prove that it bites."""

from __future__ import annotations

import ast
import io
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.environment import CHECKOUT
from ledger.errors import Category, DomainError
from tests.conftest import DatabaseUrls

PACKAGES = ("ledger", "exchange", "settlement")
MONEY_PACKAGES_SOURCES = [
    path
    for package in PACKAGES
    for path in sorted((CHECKOUT / package).rglob("*.py"))
    if "migrations" not in path.parts
]
SOURCES = [*MONEY_PACKAGES_SOURCES, *sorted((CHECKOUT / "config").rglob("*.py"))]


def find_floats(source: str) -> list[int]:
    """Lines with a float literal, a `float` name or a FloatField."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Name) and node.id in {"float", "FloatField"})
        or (isinstance(node, ast.Attribute) and node.attr == "FloatField")
    ]


def long_functions(source: str, limit: int) -> list[str]:
    return [
        f"{node.name} ({length} lines)"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > limit
    ]


def all_errors() -> Iterator[type[DomainError]]:
    from importlib import import_module

    for path in MONEY_PACKAGES_SOURCES:
        if "class " in (text := path.read_text()) and "DomainError" in text:
            import_module(".".join(path.relative_to(CHECKOUT).with_suffix("").parts))
    waiting = [DomainError]
    while waiting:
        error = waiting.pop()
        yield error
        waiting += error.__subclasses__()


# One file each on purpose: an auditor carries it away alone.
WHOLE = {"settlement/statements/verify.py", "ledger/verify.py"}

# Waiting times of threads and processes, and places on a page, which are not money.
SECONDS_AND_POINTS = {
    "exchange/sequencer",
    "exchange/management",
    "settlement/statements/forms/portable_document.py",
}


@pytest.mark.parametrize("path", MONEY_PACKAGES_SOURCES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_money_and_tokens_are_never_floats(path: Path) -> None:
    if any(str(path.relative_to(CHECKOUT)).startswith(prefix) for prefix in SECONDS_AND_POINTS):
        return
    assert find_floats(path.read_text()) == []


def test_the_float_finder_bites() -> None:
    assert sorted(find_floats("x = 1\ny = 0.5\nz = float(x)\nw = models.FloatField()")) == [2, 3, 4]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    source = path.read_text()
    if str(path.relative_to(CHECKOUT)) not in WHOLE:
        assert source.count("\n") <= 300, "split the file by what it is about"
    assert long_functions(source, 50) == []


def test_the_length_finder_bites() -> None:
    assert long_functions("def long():\n" + "    x = 1\n" * 60, 50) == ["long (61 lines)"]


def test_every_error_has_its_own_code_a_category_and_a_meaning() -> None:
    errors = [
        error for error in all_errors() if error is not DomainError and error.__module__.split(".")[0] in PACKAGES
    ]
    codes = Counter(error.code for error in errors if "code" in vars(error))
    assert [code for code, count in codes.items() if count > 1] == []
    for error in errors:
        assert re.fullmatch(r"[a-z][a-z0-9_]+", error.code), error
        assert isinstance(error.category, Category), error
        assert error.__doc__, error


def test_migrations_match_the_models_and_have_names(database: DatabaseUrls) -> None:
    from django.core.management import call_command

    output = io.StringIO()
    try:
        call_command("makemigrations", check=True, dry_run=True, stdout=output, verbosity=3)
    except SystemExit:
        pytest.fail(output.getvalue())
    names = [path.name for package in PACKAGES for path in (CHECKOUT / package / "migrations").glob("0*.py")]
    assert names
    assert not [name for name in names if "auto" in name]


def test_the_repository_names_no_registry_and_no_path_of_a_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout: tracked files are unknown")
    forbidden = re.compile(
        "|".join(["pypi" + r"\.org", "python" + r"hosted\.org", r"--index" + r"-url\s+http", "/ho" + "me/"])
    )
    for name in tracked.stdout.splitlines():
        path = CHECKOUT / name
        if path.suffix in {".py", ".md", ".toml", ".lock", ".sql", ".html", "", ".txt"} and path.is_file():
            assert not forbidden.search(path.read_text(errors="replace")), name
