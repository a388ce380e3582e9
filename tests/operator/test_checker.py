"""Checks of specifications end in time, whatever they are about, and the operator lives on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

from kubenas.cluster.checker import Checker
from kubenas.experiment.validation import ResolvedSpec, resolve_spec
from tests.experiment.builders import experiment

NUMBERS = [{"name": name, "type": "int", "min": 0, "max": 10**9} for name in ("x", "y")]


def checked(*specs: dict[str, Any], checker: Checker | None = None) -> list[ResolvedSpec]:
    async def check() -> list[ResolvedSpec]:
        checks = checker or Checker()
        return [await checks.resolve("team", experiment(**spec).spec, None) for spec in specs]

    return asyncio.run(check())


def test_finds_what_a_check_in_the_same_process_finds() -> None:
    specs: list[dict[str, Any]] = [
        {"searchSpace": {"parameters": NUMBERS, "constraints": ["x + y == 16000"]}},
        {"searchSpace": {"parameters": NUMBERS, "constraints": ["x < 5", "z > 3"]}},
        {"searchSpace": {"parameters": NUMBERS}, "search": {"algorithm": "random", "settings": {"a": 1}}},
        {"trialTemplate": {"spec": {"restartPolicy": "Always"}}},
    ]
    for spec, found in zip(specs, checked(*specs), strict=True):
        alone = resolve_spec(experiment(**spec).spec, guarded=True)
        assert [str(problem) for problem in found.problems] == [str(problem) for problem in alone.problems]
        assert (found.space is None, built(found)) == (alone.space is None, built(alone))
        if found.space is not None and alone.space is not None:
            assert [*found.space.decisions] == [*alone.space.decisions]


def built(resolved: ResolvedSpec) -> list[bool]:
    """Which stages have a strategy."""
    return [stage.strategy is not None for stage in resolved.stages]


def digits(count: int) -> dict[str, Any]:
    """A quantity that a regular expression would go through for days."""
    resources = {"limits": {"memory": "1" * count + "x"}}
    return {"trialTemplate": {"spec": {"containers": [{"name": "trainer", "resources": resources}]}}}


def test_what_takes_too_long_is_a_problem_of_its_field_and_others_go_on() -> None:
    endless, fine = checked(digits(400_000), {}, checker=Checker(seconds=3))
    (problem,) = endless.problems
    assert problem.field == "spec.trialTemplate"
    assert problem.message == "takes more than 3 s or 128 MiB to check: make it smaller or simpler"
    assert fine.problems == ()


def test_what_takes_too_much_memory_is_a_problem() -> None:
    parameters = [{"name": f"p{n}", "type": "int", "min": 1, "max": 64, "repeat": {"times": 8}} for n in range(128)]
    space = {"parameters": parameters, "constraints": ["true"]}
    (found,) = checked({"searchSpace": space}, checker=Checker(memory=2**20))
    (problem,) = found.problems
    assert problem.field.startswith("spec")
    assert "make it smaller or simpler" in problem.message


def test_is_started_anew_should_it_die() -> None:
    async def check() -> list[ResolvedSpec]:
        checker = Checker()
        first = await checker.resolve("team", experiment().spec, None)
        assert checker._process is not None
        checker._process.kill()
        checker._process.wait()
        return [first, await checker.resolve("team", experiment().spec, None)]

    assert [found.problems for found in asyncio.run(check())] == [(), ()]


_FIRST_OF_ITS_KIND = """
import asyncio, gc, sys
import kubenas.cluster.operator
from kubenas.cluster.checker import CHECKER
from tests.experiment.builders import experiment

async def check(algorithm):
    spec = experiment(search={"algorithm": algorithm}).spec
    await CHECKER.resolve("team", spec, None)
    print("sklearn" in sys.modules, gc.isenabled(), gc.get_freeze_count() > 100_000)

async def main():
    for algorithm in ("regularized-evolution", "predictor"):
        await check(algorithm)

asyncio.run(main())
"""


def test_libraries_come_with_the_first_experiment_that_needs_them() -> None:
    """And are no part of what is collected later; in a process that has imported no more than an operator."""
    done = subprocess.run([sys.executable, "-c", _FIRST_OF_ITS_KIND], capture_output=True, text=True, check=True)
    evolution, predictor = (line.split() for line in done.stdout.splitlines())
    assert evolution[:2] == ["False", "True"]
    assert predictor == ["True", "True", "True"]
