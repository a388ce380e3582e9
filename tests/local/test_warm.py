"""Trainers that are forked from a process which has imported what they need."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubenas.local.command import OWN_TRAINER, Command
from kubenas.local.trainer import Trainer
from kubenas.local.warm import ForkedTrainer, WarmProcess
from tests.local.test_keeper import WITH_CHILD
from tests.local.trainers import PATIENCE, document, kubenas, runs, wait_for

# A program that runs the Python code in ACT, and counts how often it is imported in a process.
PRELOAD = """
import os, time
print("preloads")
def preload(environment):
    assert "ACT" in environment
    exec(environment.get("PRELOAD", ""))
    open(os.path.join(environment["FOLDER"], f"warm-{os.getpid()}"), "w").close()
"""
MAIN = """
import json, os, signal, sys
sys.argv = sys.argv[:1] + [os.environ["FOLDER"] + "/told", *sys.argv[1:]]
exec(os.environ["ACT"])
"""
TELL = """
with open(f"{os.environ['FOLDER']}/told.partial", "w") as file:
    json.dump({"arguments": sys.argv[2:], "secret": os.environ.get("SECRET"), "other": os.environ.get("OTHER"),
        "input": sys.stdin.read(), "folder": os.getcwd(), "session": os.getsid(0), "pid": os.getpid(),
        "parent": os.getppid(), "name": __name__, "preloaded": "tiny.preload" in sys.modules,
        "descriptors": sorted(os.listdir("/proc/self/fd"), key=int)[3:-2]}, file)
os.rename(f"{os.environ['FOLDER']}/told.partial", f"{os.environ['FOLDER']}/told")
"""
HOLD = """
import time
open(f"{os.environ['FOLDER']}/{os.environ['NAME']}.pid", "w").write(str(os.getpid()))
while not os.path.exists(f"{os.environ['FOLDER']}/go"):
    time.sleep(0.01)
"""


class Tiny:
    """The program, and what was forked of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        package = folder / "tiny"
        package.mkdir()
        for name, text in (("__init__", ""), ("preload", PRELOAD), ("__main__", MAIN)):
            (package / f"{name}.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        self.folder = folder
        self.warm = WarmProcess("tiny")

    def command(self, act: str, *arguments: str, base: dict[str, str] | None = None, **contract: str) -> Command:
        shared = {**os.environ, "FOLDER": str(self.folder), **(base or {})}
        return Command((*OWN_TRAINER, *arguments), shared | {"ACT": act} | contract, shared)

    def fork(self, *arguments: str, **options: Any) -> ForkedTrainer:
        with (self.folder / "log").open("ab") as log, (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB) if options.pop("locked", False) else None
            forked = self.warm.fork(self.command(*arguments, **options), log.fileno(), lock.fileno())
        assert forked is not None
        return forked

    async def code(self, act: str, **options: Any) -> int | None:
        return await asyncio.wait_for(self.fork(act, **options).wait(), PATIENCE)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def warm_processes(self) -> list[int]:
        return [int(path.name.partition("-")[2]) for path in self.folder.glob("warm-*")]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tiny]:
    made = Tiny(tmp_path, monkeypatch)
    yield made
    made.warm.close()


async def pid_in(path: Path) -> int:
    """The number that a trainer writes into a file once it runs."""

    def read() -> int:
        wait_for(lambda: path.exists() and bool(path.read_text()), path.name)
        return int(path.read_text())

    return await asyncio.to_thread(read)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_a_trainer_is_as_one_that_was_started_by_itself(tiny: Tiny) -> None:
    seen = []
    for number in range(2):
        assert await asyncio.wait_for(tiny.fork(TELL, "--verbose", SECRET=str(number)).wait(), PATIENCE) == 0
        seen.append(json.loads((tiny.folder / "told").read_text()))
    assert [told["secret"] for told in seen] == ["0", "1"]
    for told in seen:
        assert (told["arguments"], told["input"], told["name"]) == (["--verbose"], "", "__main__")
        assert (told["folder"], told["session"]) == (os.getcwd(), told["pid"])
        assert told["preloaded"]
        assert told["descriptors"] == [], "it holds nothing of the run or of other trainers"
    assert len(tiny.warm_processes) == 1


@pytest.mark.parametrize(
    ("act", "code", "log"),
    [
        ("", 0, ""),
        ("print('unflushed', end='')", 0, "unflushed"),
        ("import atexit; atexit.register(print, 'at exit')", 0, "at exit\n"),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit(259)", 3, ""),
        ("raise SystemExit(True)", 1, ""),
        ("raise SystemExit('out of paper')", 1, "out of paper\n"),
        ("import threading; threading.Thread(target=print, args=('in a thread',)).start()", 0, "in a thread\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("os.kill(os.getpid(), 9)", 137, ""),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 139, ""),
        ("os.abort()", 134, ""),
    ],
)
async def test_exit_codes_and_logs(tiny: Tiny, act: str, code: int, log: str) -> None:
    assert await tiny.code(act) == code
    assert tiny.log.endswith(log)
    assert "preloads" not in tiny.log


@pytest.mark.parametrize("end", ["killed", "asked", "SIGTERM to its keeper", "exit"])
async def test_a_trainer_goes_with_its_children(tiny: Tiny, end: str) -> None:
    act = f"sys.argv[2:] = ['{'exit' if end == 'exit' else 'wait'}']\n" + WITH_CHILD
    forked = tiny.fork(act)
    ending, told = asyncio.create_task(forked.wait()), tiny.folder / "told"
    await asyncio.to_thread(wait_for, told.exists, "the trainer to run")
    pids = [int(pid) for pid in told.read_text().split()]
    match end:
        case "killed":
            forked.kill()
        case "asked":
            forked.ask_to_end()
        case "SIGTERM to its keeper":
            os.kill(parent(pids[0]), signal.SIGTERM)
    expected = {"killed": 137, "exit": 0}.get(end, 143)
    assert await asyncio.wait_for(ending, PATIENCE) == expected
    for pid in pids:
        wait_for(lambda pid=pid: not runs(pid), "a process to go")  # type: ignore[misc]


async def test_the_lock_is_held_until_the_trainer_is_gone(tiny: Tiny) -> None:
    forked = tiny.fork(HOLD, NAME="a", locked=True)
    ending = asyncio.create_task(forked.wait())
    await pid_in(tiny.folder / "a.pid")
    with (tiny.folder / "lock").open("w") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (tiny.folder / "go").touch()
        assert await asyncio.wait_for(ending, PATIENCE) == 0

        def free() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        await asyncio.to_thread(wait_for, free, "the keeper to let go of the lock")


async def test_a_crash_ends_nobody_else(tiny: Tiny) -> None:
    held = asyncio.create_task(tiny.fork(HOLD, NAME="a").wait())
    pid = await pid_in(tiny.folder / "a.pid")
    assert await tiny.code("os.kill(os.getpid(), signal.SIGSEGV)") == 139
    assert await tiny.code("") == 0
    assert runs(pid)
    assert len(tiny.warm_processes) == 1
    (tiny.folder / "go").touch()
    assert await asyncio.wait_for(held, PATIENCE) == 0


async def test_what_it_was_forked_from_may_die(tiny: Tiny) -> None:
    held = asyncio.create_task(tiny.fork(HOLD, NAME="a").wait())
    trainer = await pid_in(tiny.folder / "a.pid")
    [warm] = tiny.warm_processes
    os.kill(warm, signal.SIGKILL)
    await asyncio.to_thread(wait_for, lambda: not runs(warm), "the warm process to die")
    assert runs(trainer)
    assert await tiny.code("raise SystemExit(5)") == 5
    assert len(tiny.warm_processes) == 2
    (tiny.folder / "go").touch()
    assert await asyncio.wait_for(held, PATIENCE) == 0


async def test_a_killed_keeper_takes_its_trainer_along(tiny: Tiny) -> None:
    held = asyncio.create_task(tiny.fork(HOLD, NAME="a").wait())
    trainer = await pid_in(tiny.folder / "a.pid")
    os.kill(parent(trainer), signal.SIGKILL)
    assert await asyncio.wait_for(held, PATIENCE) == 137
    await asyncio.to_thread(wait_for, lambda: not runs(trainer), "the trainer to go")


@pytest.mark.parametrize("preload", ["raise ImportError('no torch')", "os.kill(os.getpid(), 11)"])
async def test_where_nothing_can_be_forked_the_trainer_is_started_by_itself(tiny: Tiny, preload: str) -> None:
    command = tiny.command("raise SystemExit(7)", base={"PRELOAD": preload})
    program = (sys.executable, "-m", "tiny")
    command = Command(program, command.environment, command.imported_with)
    trainer = Trainer("tiny-0-1", "tiny-0", tiny.folder, 1, "token")
    with (tiny.folder / "lock").open("w") as lock:
        await asyncio.wait_for(trainer.run(command, lock.fileno(), tiny.warm), PATIENCE)
    assert trainer.attempt().exit_code == 7


async def test_one_that_is_asked_to_end_before_it_has_started_never_does(tiny: Tiny) -> None:
    block = "while not os.path.exists(environment['FOLDER'] + '/go'): time.sleep(0.01)"
    asked = tiny.fork("open(os.environ['FOLDER'] + '/started', 'w')", base={"PRELOAD": block})
    ending = asyncio.create_task(asked.wait())
    await asyncio.sleep(0)
    asked.ask_to_end()
    assert await asyncio.wait_for(ending, PATIENCE) == 143
    (tiny.folder / "go").touch()
    assert await tiny.code("", base={"PRELOAD": block}) == 0
    assert not (tiny.folder / "started").exists()


async def test_another_environment_or_program_is_not_forked(tiny: Tiny) -> None:
    assert await tiny.code("", OTHER="of the contract") == 0
    foreign = Command(("train",), dict(os.environ))
    other = tiny.command("", base={"OMP_NUM_THREADS": "17"})
    assert [tiny.warm.fork(command, 1, 1) for command in (foreign, other)] == [None, None]


async def test_a_request_of_any_size_is_taken(tiny: Tiny) -> None:
    act = "raise SystemExit(len(os.environ['LONG']) == 5_000_000 and 9)"
    assert await tiny.code(act, LONG="") == 0
    assert await tiny.code(act, LONG="x" * 5_000_000) == 9


@contextmanager
def stranger(folder: Path, act: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that forks a trainer and can be killed."""
    code = f"""
import asyncio, os, sys
from kubenas.local.command import Command
from kubenas.local.warm import WarmProcess
environment = dict(os.environ, FOLDER={str(folder)!r}, ACT={act!r}, NAME="a")
forked = WarmProcess("tiny").fork(Command((), environment, {{}}), 1, 1)
asyncio.run(forked.wait())
"""
    with subprocess.Popen([sys.executable, "-c", code], env={**os.environ}, stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def test_nothing_is_left_of_a_run_that_was_killed(tiny: Tiny) -> None:
    with stranger(tiny.folder, HOLD) as run:
        trainer = asyncio.run(pid_in(tiny.folder / "a.pid"))
        keeper = parent(trainer)
        assert runs(keeper)
        run.kill()
        for pid in (trainer, keeper, *tiny.warm_processes):
            wait_for(lambda pid=pid: not runs(pid), "a process to go")  # type: ignore[misc]


def digits(folder: Path, name: str, **environment: str) -> list[Any]:
    """Metrics of two trials, trained beside each other by KubeNAS' own trainer with two threads each."""
    experiment = document(
        folder, name=name, evaluation={"epochs": 1}, trials={"max": 2, "parallelism": 2, "retries": 0}
    )
    experiment["spec"]["task"] = {
        "name": "image-classification",
        "dataset": {"name": "digits"},
        "settings": {"network": {"channels": 4, "cellsPerStack": 1}},
    }
    variables = [{"name": name, "value": value} for name, value in environment.items()]
    experiment["spec"]["trialTemplate"]["spec"]["containers"] = [{"name": "trainer", "env": variables}]
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(experiment))
    run = kubenas("run", f"{name}.yaml", "--state", name, cwd=folder, OMP_NUM_THREADS="2")
    output, errors = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, output + errors
    written = [json.loads(path.read_text()) for path in sorted((folder / name / "trials").glob("*.json"))]
    varying = {"seconds", "peak_memory_mb"}
    return [
        sorted((metric["name"], metric["value"]) for metric in result["metrics"] if metric["name"] not in varying)
        for trial in written
        for result in trial["status"]["results"]
    ]


def test_forked_trials_learn_what_those_started_by_themselves_do(tmp_path: Path) -> None:
    forked = digits(tmp_path, "forked")
    assert len(forked) == 2
    assert forked == digits(tmp_path, "spawned", PORT="$(KUBENAS_METRICS_PORT)")
    logs = {name: (tmp_path / name / f"attempts/{name}-0-1/log").read_text() for name in ("forked", "spawned")}
    assert all("epoch 1/1" in log for log in logs.values())
