"""Reading, sending and telling in turns, until all is done or a signal comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event

from settlement.metering.forward.address import MarketTime
from settlement.metering.forward.envelopes import micros
from settlement.metering.forward.outbox import Outbox
from settlement.metering.forward.progress import Standing
from settlement.metering.forward.reading import Reader
from settlement.metering.forward.sending import Sender
from settlement.metering.forward.watermarks import KEPT, queue_watermarks

POLL_MS = 500  # how long to rest when there is nothing to do


class Forwarder:
    """One meter's way to the exchange. `grace`: how long after a window's end its watermark is sent, and how far apart
    those of a contract are when files are followed; None for no watermarks."""

    def __init__(
        self,
        outbox: Outbox,
        reader: Reader,
        sender: Sender,
        time: MarketTime,
        *,
        meter: str,
        grace: timedelta | None,
        follow: bool,
        show: Callable[[Standing], None],
    ) -> None:
        self._outbox = outbox
        self._reader = reader
        self._sender = sender
        self._time = time
        self._meter = meter
        self._grace = grace
        self._follow = follow
        self._show = show
        self._unreadable = 0

    def run(self, stop: Event) -> Standing:
        """Until everything is read and answered, or for ever when files are followed, or until `stop`; how it stands
        then. Raises `Stopped`."""
        try:
            while not stop.is_set():
                busy = self._turn()
                self._outbox.write_rejects()
                self._show(self.standing())
                if busy:
                    continue
                if not self._follow and not self._outbox.count_waiting():
                    break
                stop.wait(max(1, min(POLL_MS, self._sender.wait() or POLL_MS)) / 1_000)
        finally:
            self._outbox.write_rejects()
        return self.standing()

    def standing(self) -> Standing:
        read, size = self._reader.size()
        return Standing(
            read, size, dict(self._sender.count), self._outbox.count_waiting(), self._unreadable, self._sender.trouble
        )

    def _turn(self) -> bool:
        """A step of each; whether anything was done."""
        lines = self._reader.read_some()
        if lines is not None:
            self._unreadable += lines.faults
        sent = self._sender.send_some()
        if lines is not None or sent:
            return True
        if self._grace is None:
            return False
        apart = self._grace if self._follow else timedelta()
        now = self._time.now()
        told = queue_watermarks(self._outbox, meter=self._meter, now=now, grace=self._grace, apart=apart)
        if told:  # the time to tidy up: windows have ended since
            self._outbox.forget(micros(now - KEPT))
        return told > 0
