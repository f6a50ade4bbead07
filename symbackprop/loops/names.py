"""Names of locals: each new one differs from all others, and short-lived ones are used again."""

from __future__ import annotations

from collections.abc import Iterable


class LocalNames:
    """Gives out names that nothing else in a nest has."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._shared: dict[tuple[str, int], str] = {}

    def __call__(self, wish: str) -> str:
        """A name of its own: the wish, or the wish with a number."""
        name, count = wish, 2
        while name in self._taken:
            name, count = f"{wish}_{count}", count + 1
        self._taken.add(name)
        return name

    def shared(self, wish: str, at: int) -> str:
        """The name for the `at`-th thing of this kind in an innermost loop; the next such loop gets the same."""
        if (wish, at) not in self._shared:
            self._shared[wish, at] = self(wish)
        return self._shared[wish, at]
