"""What many share by name is one for all who hold it, and nothing is left of it behind the last."""

from __future__ import annotations

import asyncio

from kubenas.cluster.checker import Checker
from kubenas.cluster.turns import Turns
from tests.experiment.builders import experiment


async def test_those_of_one_name_have_their_turns_and_nothing_is_left() -> None:
    turns, inside, most = Turns(asyncio.Lock), {"a": 0, "b": 0}, {"a": 0, "b": 0}

    async def work(name: str) -> None:
        async with turns.of(name):
            inside[name] += 1
            most[name] = max(most[name], inside[name])
            await asyncio.sleep(0)
            inside[name] -= 1

    await asyncio.gather(*(work(name) for name in "abab" * 5))
    assert most == {"a": 1, "b": 1}
    assert len(turns) == 0


async def test_a_checker_keeps_nothing_of_namespaces_that_are_gone() -> None:
    checker = Checker()
    for namespace in ("one", "two"):
        await checker.resolve(namespace, experiment().spec, None)
    assert len(checker._turns) == 0
