"""What holds of every page."""

from __future__ import annotations

import re

from config.environment import CHECKOUT

TABLE = re.compile(r'<div class="table"([^>]*)>')
REACHED = re.compile(r' tabindex="0" role="region" aria-labelledby="([^"]+)"')


def test_every_table_that_scrolls_is_reached_by_keys_and_has_a_name() -> None:
    seen = 0
    for path in sorted((CHECKOUT / "templates").rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        for attributes in TABLE.findall(text):
            told = REACHED.fullmatch(attributes)
            assert told, path
            seen += 1
            if told[1] != "{{ label }}":
                assert f'id="{told[1]}"' in text, (path, told[1])
    assert seen > 30


def test_whoever_includes_a_table_says_what_names_it() -> None:
    for path in sorted((CHECKOUT / "templates").rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        for included, how in re.findall(r'{% include "([^"]+_rows\.html)"(.*?)%}', text):
            if 'class="table"' not in (CHECKOUT / "templates" / included).read_text(encoding="utf-8"):
                continue
            label = re.search(r'label="([\w-]+)"(\|add:number)?', how)
            assert label, (path, included)
            assert f'id="{label[1]}' in text, (path, included)
