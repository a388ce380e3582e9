"""Whole runs on this machine, with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubenas.api.experiment import NASExperiment
from kubenas.api.immutable import immutable_fields
from kubenas.api.status import ExperimentStatus
from kubenas.api.trial import NASTrial
from kubenas.experiment.actions import Announcement
from kubenas.experiment.state import Trial
from kubenas.local.folder import StateError, StateFolder
from kubenas.local.run import LocalRun
from tests.local.trainers import PATIENCE, document, experiment, history, kubenas, runs, trainer, wait_for
from tests.search.server import serving


@dataclass
class Notes:
    """What a run has told."""

    ended: list[Trial] = field(default_factory=list)
    retried: list[Trial] = field(default_factory=list)
    announcements: list[Announcement] = field(default_factory=list)

    def trial_ended(self, trial: Trial) -> None:
        self.ended.append(trial)

    def attempt_failed(self, trial: Trial) -> None:
        self.retried.append(trial)

    def status_changed(self, status: ExperimentStatus, running: int) -> None:
        pass

    def announced(self, announcement: Announcement) -> None:
        self.announcements.append(announcement)


async def ran(of: NASExperiment, state: Path) -> tuple[LocalRun, Notes]:
    """A run to its end."""
    folder, notes = StateFolder(state), Notes()
    with folder.locked():
        run = LocalRun(of, folder, notes)
        await asyncio.wait_for(run.run(), PATIENCE)
    return run, notes


async def failure(script: Path, **trials: Any) -> tuple[str, str]:
    """Reason and message of the failure of a single trial."""
    of = experiment(script, trials={"max": 1, "retries": 0, **trials})
    run, notes = await ran(of, script.parent / "state")
    assert run.experiment.status.phase == "Failed"
    assert notes.ended[0].status.last_failure is not None
    return notes.ended[0].status.last_failure.reason, notes.ended[0].status.last_failure.message


async def test_a_whole_run(tmp_path: Path) -> None:
    of = experiment(trainer(tmp_path, "finish()"), trials={"max": 6, "parallelism": 3, "candidatesPerTrial": 2})
    run, notes = await ran(of, tmp_path / "state")
    status = run.experiment.status
    assert (status.phase, status.progress) == ("Succeeded", "6/6")
    assert sorted(t.status.order or 0 for t in notes.ended) == [1, 2, 3, 4, 5, 6]
    values = [r.metrics[0].value for t in notes.ended for r in t.status.results]
    assert len(values) == 12
    assert status.best is not None
    assert status.best.value == max(values)
    stored = NASExperiment.model_validate_json((tmp_path / "state" / "experiment.json").read_bytes())
    assert (stored.spec, stored.status) == (of.spec, status)
    for trial in notes.ended:
        read = NASTrial.model_validate_json((tmp_path / "state" / "trials" / f"{trial.name}.json").read_bytes())
        assert (read.spec.candidates, read.status) == (list(trial.candidates), trial.status)


async def test_what_a_trainer_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    script = trainer(
        tmp_path,
        """
assert os.path.isdir(os.environ["KUBENAS_CHECKPOINT_DIR"])
assert os.path.isdir(os.path.dirname(os.environ["KUBENAS_TERMINATION_LOG"]))
assert os.environ["OMP_NUM_THREADS"] == "3"
assert 0 < int(os.environ["KUBENAS_METRICS_PORT"]) < 65536
assert (trial["experiment"], trial["trial"], trial["attempt"]) == ("tiny", "tiny-0", 1)
assert sys.stdin.read() == ""
finish()
""",
    )
    run, notes = await ran(experiment(script, trials={"max": 1, "retries": 0}), tmp_path / "state")
    assert run.experiment.status.phase == "Succeeded", notes.ended[0].status.last_failure


@pytest.mark.parametrize(
    ("end", "reason", "words"),
    [
        ("", "NoResult", "exited with 0, but left no result"),
        ("sys.exit('out of paper')", "NonZeroExit", "exited with 1: out of paper"),
        ("os.kill(os.getpid(), 9)", "NonZeroExit", "exited with 137"),
        ("open(os.environ['KUBENAS_TERMINATION_LOG'], 'w').write('{')", "InvalidResult", "not JSON"),
        (
            "open(os.environ['KUBENAS_TERMINATION_LOG'], 'w').write(json.dumps({'error': "
            "{'reason': 'OutOfMemory', 'message': 'CUDA'}})); sys.exit(1)",
            "OutOfMemory",
            "CUDA",
        ),
        ("finish(accuracy=float('nan'))", "NonFiniteMetric", "accuracy, an objective, is nan, not a finite number"),
        ("finish(loss=0.1)", "MetricMissing", "no accuracy, an objective; it reported loss"),
    ],
)
async def test_failures(tmp_path: Path, end: str, reason: str, words: str) -> None:
    found, message = await failure(trainer(tmp_path, end))
    assert found == reason
    assert words in message


async def test_a_search_goes_on_though_some_trials_have_no_value(tmp_path: Path) -> None:
    script = trainer(tmp_path, "finish(accuracy=float('nan')) if trial['trial'][-1] in '024' else finish()")
    of = experiment(script, trials={"max": 6, "parallelism": 2, "retries": 0})
    run, notes = await ran(of, tmp_path / "state")
    assert run.experiment.status.phase == "Succeeded"
    assert {t.name: t.status.phase == "Failed" for t in notes.ended} == {f"tiny-{n}": n % 2 == 0 for n in range(6)}


async def test_a_service_on_this_machine_is_asked(tmp_path: Path) -> None:
    """Good answers are tried; after them come its mistakes, and the search goes on."""

    def answer(request: dict[str, Any]) -> tuple[int, bytes]:
        proposed = {"a": request["number"] + 1} if request["number"] < 2 else "nonsense"
        return 200, json.dumps({"architectures": [proposed]}).encode()

    with serving(answer) as server:
        of = experiment(
            trainer(tmp_path, "finish()"),
            searchSpace={"parameters": [{"name": "a", "type": "int", "min": 1, "max": 9}]},
            search={"algorithm": "external", "settings": {"baseUrl": server.url}},
            trials={"max": 4},
        )
        run, notes = await ran(of, tmp_path / "state")
    assert [t.candidates[0].architecture for t in notes.ended[:2]] == [{"a": 1}, {"a": 2}]
    assert len(notes.ended) == 4
    (told,) = [c for c in run.experiment.status.conditions if c.type == "ProposalsAvailable"]
    assert told.status == "False"
    assert told.message.startswith("spec.search: proposal 1 of 1 is outside the space")


async def test_what_trials_need_is_imported_while_the_first_is_proposed(tmp_path: Path) -> None:
    def imports() -> bool:
        for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            # One may have ended meanwhile.
            with suppress(OSError):
                if b"kubenas.local.forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return True
        return False

    def answer(_: dict[str, Any]) -> tuple[int, bytes]:
        wait_for(imports, "a process that imports")
        return 200, json.dumps({"architectures": [{"a": 1}]}).encode()

    with serving(answer) as server:
        of = experiment(
            trainer(tmp_path),
            task={"name": "image-classification", "dataset": {"name": "no-such"}},
            searchSpace={"parameters": [{"name": "a", "type": "int", "min": 1, "max": 9}]},
            search={"algorithm": "external", "settings": {"baseUrl": server.url, "timeout": "1h"}},
            trials={"max": 1, "retries": 0},
            trialTemplate={},
        )
        await ran(of, tmp_path / "state")
    assert server.requests


async def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    broken = document(tmp_path / "none.py", trials={"max": 1, "retries": 0})
    broken["spec"]["trialTemplate"]["spec"]["containers"][0]["command"] = ["/app/train"]
    _, notes = await ran(NASExperiment.model_validate(broken), tmp_path / "state")
    assert notes.ended[0].status.last_failure is not None
    assert notes.ended[0].status.last_failure.message.endswith("exited with 127: /app/train: No such file or directory")


async def test_a_failed_attempt_is_made_again(tmp_path: Path) -> None:
    script = trainer(tmp_path, "sys.exit(1) if trial['attempt'] == 1 else finish()")
    _, notes = await ran(experiment(script, trials={"max": 1}), tmp_path / "state")
    assert [(t.status.phase, t.status.attempt, t.status.failures) for t in notes.ended] == [("Succeeded", 2, 1)]
    assert [t.name for t in notes.retried] == ["tiny-0"]
    assert (tmp_path / "state" / "attempts" / "tiny-0-1" / "log").exists()


async def test_a_timeout_ends_the_trainer_and_its_children(tmp_path: Path) -> None:
    script = trainer(
        tmp_path,
        """
import signal, subprocess
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
subprocess.Popen([sys.executable, "-c", "import signal, sys, time; signal.signal(15, signal.SIG_IGN); "
    "open(sys.argv[1] + '/child.pid', 'w').write(str(__import__('os').getpid())); time.sleep(600)",
    os.environ["TEST_FOLDER"]])
held("trainer")
""",
    )
    reason, _ = await failure(script, timeout="2s")
    assert reason == "Timeout"
    assert not runs(int((tmp_path / "trainer.pid").read_text()))
    child = tmp_path / "child.pid"
    assert not child.exists() or not runs(int(child.read_text()))


SERVES = """
import http.server
TEXT = '''kubenas_trial_value{candidate="0",metric="accuracy"} 0.75
kubenas_trial_value{candidate="0",metric="epoch"} 3
kubenas_trial_step{candidate="0"} 300
'''
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(TEXT.encode())
server = http.server.HTTPServer(("127.0.0.1", int(os.environ["KUBENAS_METRICS_PORT"])), Handler)
server.handle_request()
"""


async def test_values_are_read_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    script = trainer(tmp_path, SERVES)
    _, notes = await ran(experiment(script, trials={"max": 1, "retries": 0}), tmp_path / "state")
    status = notes.ended[0].status
    assert [(r.step, r.source, r.metrics[0].value) for r in status.results] == [(300, "Pod", 0.75)]


async def test_the_goal_stops_what_runs(tmp_path: Path) -> None:
    script = trainer(tmp_path, "held(trial['trial']) if trial['trial'] == 'tiny-0' else finish()")
    of = experiment(script, objectives=[{"metric": "accuracy", "target": 0}], trials={"max": 9, "parallelism": 2})
    run, notes = await ran(of, tmp_path / "state")
    assert {t.name: t.status.phase for t in notes.ended} == {"tiny-0": "Pruned", "tiny-1": "Succeeded"}
    assert run.experiment.status.phase == "Succeeded"
    pid = tmp_path / "tiny-0.pid"
    assert not pid.exists() or not runs(int(pid.read_text()))


# Going on


CHECKPOINT = """
folder = os.environ["KUBENAS_CHECKPOINT_DIR"]
if os.path.exists(f"{folder}/step"):
    finish()
else:
    open(f"{folder}/step", "w").close()
    held(trial["trial"])
"""


async def test_an_interrupted_attempt_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    of, state = experiment(trainer(tmp_path, CHECKPOINT), trials={"max": 2, "retries": 0}), tmp_path / "state"
    folder = StateFolder(state)
    with folder.locked():
        task = asyncio.create_task(LocalRun(of, folder, Notes()).run())
        await asyncio.to_thread(wait_for, (tmp_path / "tiny-0.pid").exists, "the trial to run")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not runs(int((tmp_path / "tiny-0.pid").read_text()))
    (tmp_path / "go").touch()
    _, notes = await ran(of, state)
    first = notes.ended[0]
    assert (first.name, first.status.phase) == ("tiny-0", "Succeeded")
    assert (first.status.attempt, first.status.failures) == (2, 0)


async def test_checkpoints_of_what_was_outdone_are_removed(tmp_path: Path) -> None:
    writes = "open(os.environ['KUBENAS_CHECKPOINT_DIR'] + '/weights', 'w').close(); finish()"
    storage = {"volumeClaim": "artifacts", "keep": "best"}
    run, _ = await ran(experiment(trainer(tmp_path, writes), trials={"max": 4}, storage=storage), tmp_path / "state")
    best = run.experiment.status.best
    assert best is not None
    assert [folder.name for folder in (tmp_path / "state" / "checkpoints").iterdir()] == [best.trial]
    assert run.experiment.status.checkpoints_removed == 3


async def test_a_second_stop_kills_and_waits_for_the_end(tmp_path: Path) -> None:
    script = trainer(
        tmp_path,
        "import signal",
        "signal.signal(15, lambda *_: open(f\"{os.environ['TEST_FOLDER']}/asked\", 'w'))",
        "held(trial['trial'])",
    )
    folder = StateFolder(tmp_path / "state")
    with folder.locked():
        task = asyncio.create_task(LocalRun(experiment(script), folder, Notes()).run())
        for file in ("tiny-0.pid", "asked"):
            await asyncio.to_thread(wait_for, (tmp_path / file).exists, file)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}, "nobody waits for a process any more"
    wait_for(lambda: not runs(int((tmp_path / "tiny-0.pid").read_text())), "the trainer to go")


@pytest.mark.parametrize("later", range(8))
async def test_a_stop_as_something_else_happens_is_not_forgotten(
    tmp_path: Path, later: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes `later` turns of the event loop after a reading, whose end wakes the run."""
    of = experiment(trainer(tmp_path, "held(trial['trial'])"), trials={"max": 1})
    folder, loop = StateFolder(tmp_path / "state"), asyncio.get_running_loop()
    reads: list[None] = []

    def stop(turns: int) -> None:
        if turns:
            loop.call_soon(stop, turns - 1)
        else:
            task.cancel()

    async def read(*_: Any) -> dict[str, Any]:
        if not reads:
            reads.append(None)
            stop(later)
        return {}

    monkeypatch.setattr("kubenas.local.readings.scrape", read)
    with folder.locked():
        task = asyncio.create_task(LocalRun(of, folder, Notes()).run())
        ended, _ = await asyncio.wait({task}, timeout=PATIENCE)
        (tmp_path / "go").touch()
        assert ended == {task}
        assert task.cancelled()


@pytest.mark.parametrize("killed", [0, 2, 5])
def test_killed_in_the_middle_it_comes_to_the_same(tmp_path: Path, killed: int) -> None:
    """One trial at a time: a search that was cut off is the one that was not."""
    spec: dict[str, Any] = {
        "trials": {"max": 6},
        "search": {
            "algorithm": "regularized-evolution",
            "seed": 3,
            "settings": {"populationSize": 3, "sampleSize": 2},
        },
    }
    script = trainer(tmp_path, f"if trial['trial'] == 'tiny-{killed}': held(trial['trial'])", "finish()")
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(document(script, **spec)))
    run = kubenas("run", str(file), "--state", "killed", cwd=tmp_path)
    pid = tmp_path / f"tiny-{killed}.pid"
    wait_for(lambda: pid.exists() or run.poll() is not None, f"trial {killed} to run")
    assert run.poll() is None, run.communicate()
    run.kill()
    run.communicate(timeout=PATIENCE)
    wait_for(lambda: not runs(int(pid.read_text())), "the trainer of the killed run to go")
    (tmp_path / "go").touch()
    for state in ("killed", "undisturbed"):
        run = kubenas("run", str(file), "--state", state, cwd=tmp_path)
        _, errors = run.communicate(timeout=PATIENCE)
        assert run.returncode == 0, errors
    assert len(history(tmp_path / "killed")) == 6
    assert history(tmp_path / "killed") == history(tmp_path / "undisturbed")


def test_killed_at_every_write_of_every_stage_it_comes_to_the_same(tmp_path: Path) -> None:
    evolution = {"algorithm": "regularized-evolution", "seed": 3, "settings": {"populationSize": 3, "sampleSize": 2}}
    spec: dict[str, Any] = {
        "searchSpace": {"parameters": [{"name": "x", "type": "int", "min": 0, "max": 99}]},
        "search": {"algorithm": "random"},
        "trials": {"max": 3},
        "stages": [
            {"name": "short", "evaluation": {"epochs": 1}},
            {"name": "again", "evaluation": {"epochs": 2}, "search": evolution, "keep": {"top": 2}},
            {"name": "final", "evaluation": {"epochs": 3, "seeds": 2}, "trials": {"candidatesPerTrial": 2}},
        ],
    }
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(document(trainer(tmp_path, "finish()"), **spec)))
    run = kubenas("run", str(file), "--state", "undisturbed", cwd=tmp_path)
    _, errors = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, errors
    killed = tmp_path / "killed.txt"
    command = [sys.executable, "-m", "tests.local.killed", str(file), str(tmp_path / "killed"), str(killed)]
    subprocess.run(command, check=True, timeout=10 * PATIENCE)
    # Before and after each trial is written as it is proposed and as it has ended.
    for number in range(8):
        times = [line for line in killed.read_text().splitlines() if f"tiny-{number}.json" in line]
        assert {
            f"{when} tiny-{number}.json {phase}" for when in ("before", "after") for phase in (None, "Succeeded")
        } <= {*times}
    assert [stage for _, stage, *_ in history(tmp_path / "killed")] == ["short"] * 3 + ["again"] * 3 + ["final"] * 2
    assert history(tmp_path / "killed") == history(tmp_path / "undisturbed")


async def test_more_trials_revive_an_ended_experiment(tmp_path: Path) -> None:
    script = trainer(tmp_path, "finish()")
    first, _ = await ran(experiment(script, trials={"max": 2}), tmp_path / "state")
    again, notes = await ran(experiment(script, trials={"max": 2}), tmp_path / "state")
    assert (notes.ended, again.experiment.status) == ([], first.experiment.status)
    more, notes = await ran(experiment(script, trials={"max": 4, "parallelism": 2}), tmp_path / "state")
    assert sorted(t.number for t in notes.ended) == [2, 3]
    assert (more.experiment.status.progress, more.experiment.metadata.generation) == ("4/4", 2)


CHANGES: dict[str, dict[str, Any]] = {
    "spec.objectives": {"objectives": [{"metric": "accuracy", "target": 0.5}]},
    "spec.task": {"task": {"name": "other"}},
    "spec.searchSpace": {"searchSpace": {"parameters": [{"name": "a", "type": "choice", "values": ["b"]}]}},
    "spec.search.seed": {"search": {"seed": 7}},
    "spec.evaluation": {"evaluation": {"epochs": 4}},
    "spec.fidelity": {"fidelity": {"scheduler": "patience", "patience": 1}},
    "spec.stages": {"stages": [{"name": "only"}]},
    "spec.warmStart": {"warmStart": [{"experiment": "before"}]},
}


@pytest.mark.parametrize(("field", "change"), CHANGES.items(), ids=CHANGES)
async def test_what_past_trials_depend_on_cannot_change(tmp_path: Path, field: str, change: dict[str, Any]) -> None:
    script = trainer(tmp_path, "finish()")
    await ran(experiment(script, trials={"max": 1}), tmp_path / "state")
    with pytest.raises(StateError, match=f"^{re.escape(field)}: "):
        await ran(experiment(script, trials={"max": 2}, **change), tmp_path / "state")


async def test_a_folder_belongs_to_one_experiment(tmp_path: Path) -> None:
    script = trainer(tmp_path, "finish()")
    await ran(experiment(script, trials={"max": 1}), tmp_path / "state")
    with pytest.raises(StateError, match=r"^metadata\.name: "):
        await ran(experiment(script, name="other", trials={"max": 1}), tmp_path / "state")


def test_nothing_immutable_is_forgotten() -> None:
    assert set(CHANGES) == {f"spec.{path}" for path in immutable_fields()}


def test_one_run_a_folder(tmp_path: Path) -> None:
    with (
        StateFolder(tmp_path).locked(),
        pytest.raises(StateError, match="another run uses it"),
        StateFolder(tmp_path).locked(),
    ):
        pass


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "experiment.json").write_text("{")
    with pytest.raises(StateError, match=r"experiment\.json: "):
        StateFolder(tmp_path).load_experiment()


async def test_a_run_begins_with_what_another_folder_knows(tmp_path: Path) -> None:
    script = trainer(tmp_path, "finish()")
    warm: dict[str, Any] = {"trials": {"max": 2}, "warmStart": [{"experiment": "before"}]}
    with pytest.raises(
        StateError, match=r"^spec\.warmStart\[0\]\.experiment: there is no experiment before.*looked for"
    ):
        await ran(experiment(script, **warm), tmp_path / "state")
    before, _ = await ran(experiment(script, name="before", trials={"max": 3}), tmp_path / "before")
    first, _ = await ran(experiment(script, **warm), tmp_path / "later")
    (known,) = first.experiment.status.warm_start
    assert {one.trial for one in known.results} <= {trial.name for trial in before.trials.values()}
    shutil.rmtree(tmp_path / "before")
    again, _ = await ran(experiment(script, **{**warm, "trials": {"max": 4}}), tmp_path / "later")
    assert again.experiment.status.warm_start == [known]
    assert again.experiment.status.progress == "4/4"


async def test_a_trial_of_another_folder_that_cannot_be_read_is_left_out_alone(tmp_path: Path) -> None:
    script = trainer(tmp_path, "finish()")
    await ran(experiment(script, name="before", trials={"max": 4}), tmp_path / "before")
    whole = (tmp_path / "before/experiment.json").read_text()
    (tmp_path / "before/trials/before-0.json").write_text("{")
    (tmp_path / "before/trials/before-1.json").unlink()
    (tmp_path / "before/trials/before-1.json").mkdir()
    warm: dict[str, Any] = {"trials": {"max": 1}, "warmStart": [{"experiment": "before"}]}
    run, notes = await ran(experiment(script, **warm), tmp_path / "later")
    (known,) = run.experiment.status.warm_start
    assert {one.trial for one in known.results} == {"before-2", "before-3"}
    broken, folder = known.left_out
    assert broken.startswith(f"{tmp_path}/before/trials/before-0.json: ")
    assert folder == f"{tmp_path}/before/trials/before-1.json: cannot be read (Is a directory)"
    (told,) = [one for one in notes.announcements if one.reason == "TrialsLeftOut"]
    assert told.kind == "Warning"
    assert "before-0.json" in told.message
    (tmp_path / "before/experiment.json").write_text(whole[:-9])
    with pytest.raises(
        StateError, match=r"^spec\.warmStart\[0\]\.experiment: .*/experiment\.json: .*remove this entry"
    ):
        await ran(experiment(script, **warm), tmp_path / "last")


async def test_a_trial_of_ones_own_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """It may hold a result: a search that went on without it would train it anew."""
    script = trainer(tmp_path, "finish()")
    await ran(experiment(script, trials={"max": 1}), tmp_path / "state")
    path = tmp_path / "state/trials/tiny-0.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(StateError, match=r"tiny-0\.json: cannot be read \(Is a directory\)"):
        await ran(experiment(script, trials={"max": 2}), tmp_path / "state")
