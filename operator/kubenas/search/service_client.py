"""Requests of one experiment: one at a time, beside all else, and fewer to a service that fails."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from threading import Thread
from typing import Final

from kubenas.search.base import Strategy
from kubenas.search.preparation import Preparation
from kubenas.search.service_request import Answer

# Pause after a second failure in a row; twice as long after each further one.
PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0


class ServiceClient:
    """Makes requests and keeps their answers until the strategy can take them in.

    They are made by an event loop of their own in one thread for all experiments, so that neither a slow service nor a
    long answer holds up anybody else.

    Args:
        answered: called, in the caller's event loop, once there is an answer.
    """

    def __init__(self, answered: Callable[[], None]) -> None:
        self._answered = answered
        self._asking: asyncio.Task[None] | None = None
        # Each with the seconds that it took.
        self._answers: deque[tuple[Strategy, Preparation, Answer, float]] = deque()
        self._failures = 0
        self._not_before = 0.0

    def ask(self, strategy: Strategy, request: Preparation) -> None:
        """Begin a request, unless one is under way.

        A service that failed is left alone for a while: the answer is its last fault then, and a fallback proposes.
        """
        if self._asking is not None or self._answers:
            return
        if time.monotonic() < self._not_before:
            self._answers.append((strategy, request, Answer(fault=strategy.fault), 0.0))
            self._answered()
        else:
            self._asking = asyncio.create_task(self._ask(strategy, request))

    def tell(self) -> float:
        """Have the strategy take in what was answered; in the thread that the strategy is used in.

        Returns:
            the seconds that it took the service.
        """
        took = 0.0
        while self._answers:
            strategy, request, answer, seconds = self._answers.popleft()
            strategy.accept(request, answer)
            took += seconds
        return took

    def stop(self) -> None:
        """Give up what is under way."""
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self, strategy: Strategy, request: Preparation) -> None:
        began = time.monotonic()
        try:
            asked = asyncio.run_coroutine_threadsafe(_run(request), _event_loop())
            answer = await asyncio.wrap_future(asked)
        finally:
            self._asking = None
        self._failures = self._failures + 1 if answer.fault else 0
        if self._failures > 1:
            pause = min(PAUSE_SECONDS * 2.0 ** min(self._failures - 2, 20), LONGEST_PAUSE_SECONDS)
            self._not_before = time.monotonic() + pause
        self._answers.append((strategy, request, answer, time.monotonic() - began))
        self._answered()


async def _run(request: Preparation) -> Answer:
    try:
        answer: Answer = await request.run(*request.arguments)
    except Exception as error:  # whatever a library raises, it is this search alone that goes on without it
        return Answer(fault=f"the service cannot be asked ({type(error).__name__})")
    return answer


@cache
def _event_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="ask", daemon=True).start()
    return loop
