"""Ports for the servers that tests start: each pytest process searches in a range of its own.

Between the search and the server's start nobody holds the port, and web servers share one without complaint.
"""

from __future__ import annotations

import os

PORTS_A_PROCESS = 50


def first_port(wanted: int) -> int:
    """Where this process begins to search."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return wanted + PORTS_A_PROCESS * worker
