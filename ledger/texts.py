"""Texts that the journal keeps for ever: how many characters each may have, and which characters none may. Pure."""

from __future__ import annotations

from ledger.errors import InvalidText

MAX_KIND = 32
MAX_SOURCE = 32
MAX_REFERENCE = 200
MAX_REF = 120
MAX_ACTOR = 80


def is_storable(text: str) -> bool:
    """Whether the database can hold a text and UTF-8 write it: no NUL, no half of a character."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text))


def check_text(text: str, field: str, longest: int) -> None:
    """Raises `InvalidText`, which names the field, for a text that has more characters or cannot be stored."""
    if len(text) > longest:
        raise InvalidText(f"The {field} has at most {longest} characters.", field=field, longest=longest)
    if not is_storable(text):
        raise InvalidText(f"The {field} holds a NUL or half a character.", field=field)
