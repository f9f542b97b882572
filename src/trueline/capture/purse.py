"""What a capture from a server has cost, and whether it can afford another item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trueline.capture.journal import Key
from trueline.models.server.calls import Price, Usage


class Purse:
    """Keeps a capture within ``max_cost``: an item is begun only when it and those in hand fit, at the mean cost of those before.

    ``spent``: tokens of the whole run, those that earlier tries paid for among them.
    """

    def __init__(self, price: Price, max_cost: float | None, spent: Usage) -> None:
        self.price, self.max_cost, self.spent = price, max_cost, spent
        self.finished = 0
        self._cost_finished = 0.0
        self._in_hand: set[int] = set()
        self._costs: dict[int, float] = {}

    @property
    def cost(self) -> float:
        """Of the whole run so far."""
        return self.price.of(self.spent)

    @property
    def undecided(self) -> bool:
        """True while the first item, which tells what an item costs, is in hand."""
        return self.max_cost is not None and not self.finished and bool(self._in_hand)

    def begin(self, index: int) -> bool:
        """Take an item in hand, unless that costs too much."""
        if self.max_cost is not None:
            mean = self._cost_finished / self.finished if self.finished else 0.0
            to_come = sum(max(mean - self._costs.get(held, 0.0), 0.0) for held in self._in_hand | {index})
            if self.cost + to_come > self.max_cost:
                return False
        self._in_hand.add(index)
        return True

    def drop(self, indices: Iterable[int]) -> None:
        """Nobody has these items in hand any more."""
        self._in_hand.difference_update(indices)

    def known(self, replies: Mapping[Key, Usage]) -> None:
        """Replies that an earlier try paid for: they are in ``spent``, and tell what their items cost."""
        found: dict[int, float] = {}
        for (index, _), usage in replies.items():
            found[index] = found.get(index, 0.0) + self.price.of(usage)
        self._costs |= found

    def pay(self, index: int, usage: Usage) -> None:
        """A reply to a question of this item came."""
        self.spent += usage
        self._costs[index] = self._costs.get(index, 0.0) + self.price.of(usage)

    def finish(self, index: int) -> None:
        """All of an item's questions are answered."""
        self._in_hand.discard(index)
        self._cost_finished += self._costs.pop(index, 0.0)
        self.finished += 1

    def stopped(self, done: int, total: int) -> str:
        """What to tell of a capture that ends here with ``done`` of ``total`` items."""
        return (
            f"stopped at a cost of {self.cost:.4g}, before --max-cost {self.max_cost:g}: {done} of {total} items are done "
            "and kept; give the same command with a higher --max-cost to go on"
        )
