"""Why a demo's day cannot go on."""

from __future__ import annotations


class DemoFailed(Exception):
    """Something that should not happen on a good day did; the message says what."""
