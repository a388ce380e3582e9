"""What a strategy needs to have done before it proposes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preparation:
    """Work that proposals wait for and that takes long: a fit, a request to a service.

    Attributes:
        run: a function of a module; a coroutine function where it only waits for somebody else.
        arguments: what it is called with; can be pickled.
    """

    run: Callable[..., Any]
    arguments: tuple[Any, ...]

    @property
    def waits(self) -> bool:
        """Whether it is a request, which is made beside all else, rather than a computation."""
        return inspect.iscoroutinefunction(self.run)

    def result(self) -> Any:
        """What it comes to, worked out or waited for here and now."""
        result = self.run(*self.arguments)
        return asyncio.run(result) if self.waits else result
