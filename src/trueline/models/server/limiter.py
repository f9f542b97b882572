"""How many requests may be in flight: grows while the server answers, halves when it says 429, and waits as long as it says."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque


class Limiter:
    """Additive increase, multiplicative decrease, between 1 and ``most``; first come, first served.

    Attributes
    ----------
    allowed: requests that may be in flight now. in_flight: those that are.
    """

    def __init__(self, most: int, start: int | None = None) -> None:
        self.most = most
        self.allowed = float(min(most, start or most))
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed_until = 0.0
        self._last_cut = 0.0

    async def acquire(self) -> None:
        """Wait for a place, and for the end of a pause that the server asked for."""
        if self.in_flight < int(self.allowed) and not self._waiting:
            self.in_flight += 1
        else:
            await self._queue()
        while (pause := self._closed_until - time.monotonic()) > 0:
            try:
                await asyncio.sleep(pause + 0.1 * random.random() * min(pause, 10.0))
            except asyncio.CancelledError:
                self.release()
                raise

    async def _queue(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # the place was given in the moment of cancelling
            raise

    def release(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._wake()

    def succeeded(self) -> None:
        """The server answered: one place more for every ``allowed`` answers."""
        self.allowed = min(float(self.most), self.allowed + 1.0 / self.allowed)
        self._wake()

    def refused(self, retry_after: float) -> None:
        """The server said 429: half the places (once a second at most), and a pause of ``retry_after`` seconds for everybody."""
        now = time.monotonic()
        self._closed_until = max(self._closed_until, now + retry_after)
        if now - self._last_cut >= 1.0:
            self.allowed = max(1.0, self.allowed / 2)
            self._last_cut = now

    def _wake(self) -> None:
        while self.in_flight < int(self.allowed) and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
