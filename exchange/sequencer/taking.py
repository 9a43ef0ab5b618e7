"""What a sequencer takes from its line at once, read while the database still writes what it took before."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from exchange.sequencer.gates import cut_batch
from exchange.sequencer.intake import WaitingCommand, fetch_waiting
from exchange.sequencer.prepare import taker_accounts
from exchange.sequencer.state import Market
from ledger import journal
from ledger.chart import AccountKey


class Taking:
    """The next commands of a shard, at most so many. It reads ahead through a connection of its own."""

    def __init__(self, shard: int, at_most: int) -> None:
        self._shard = shard
        self._at_most = at_most
        self._ahead: Sequence[WaitingCommand] = ()
        self._reading: BaseDatabaseWrapper | None = None  # made by the thread that uses it

    def next(self) -> Sequence[WaitingCommand]:
        """What is decided together next, in order."""
        waiting, self._ahead = self._ahead or fetch_waiting(self._at_most, self._shard), ()
        commands = cut_batch(waiting)
        if waiting and not commands:  # one bundle, longer than what is taken at once
            commands = fetch_waiting(len(waiting) + waiting[-1].bundle_left, self._shard)
        return commands

    def look_ahead(
        self,
        market: Market,
        taken: Sequence[WaitingCommand],
        accounts: dict[AccountKey, journal.AccountState],
    ) -> None:
        """Read what waits behind `taken`, and its accounts, when there was as much as can be taken.

        The caller has locked the ledger's head: nobody else changes an account, and it has changed none that is not
        among `accounts`.
        """
        if len(taken) < self._at_most:
            self.close()
            return
        if self._reading is None:
            self._reading = connections.create_connection(DEFAULT_DB_ALIAS)
        self._ahead = fetch_waiting(self._at_most, self._shard, after=taken[-1].seq, own=self._reading)
        unknown = [key for key in taker_accounts(market, self._ahead) if key not in accounts]
        accounts |= journal.load_accounts(unknown, self._reading)

    def forget(self) -> None:
        """Look at the line again before anything else is taken."""
        self._ahead = ()

    def close(self) -> None:
        """Forget, and let the connection go."""
        self.forget()
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.close()
