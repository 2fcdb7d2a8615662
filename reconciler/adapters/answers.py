"""Answers that were given, for all who ask the same."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

from reconciler.core.errors import Unreachable

MOST = 4_000
"""Answers that are kept to be given again: what is asked twice is asked about one machine, and soon."""
T = TypeVar("T")


class Answers:
    """The newest ones, and those that are still to come. That there was none is an answer, too."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, asyncio.Future[Any]] = OrderedDict()

    def get(self, question: Hashable, ask: Callable[[], Awaitable[T]]) -> "asyncio.Future[T]":
        """The answer, asked for where it is not known; again where whoever waited for it gave up."""
        answer = self._known.get(question)
        if answer is None or not self._holds(answer):
            answer = self._known[question] = asyncio.ensure_future(ask())
        # The last to be asked for come last. An ordinary dict looks for its first one through all that went before.
        self._known.move_to_end(question)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return answer

    def _holds(self, answer: asyncio.Future[Any]) -> bool:
        return not answer.cancelled()


class ClearAnswers(Answers):
    """That there was none holds only for those who asked then."""

    def _holds(self, answer: asyncio.Future[Any]) -> bool:
        return super()._holds(answer) and not (answer.done() and isinstance(answer.exception(), Unreachable))
