"""`kubenas run` as a program: what it prints, how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.local.trainers import PATIENCE, document, kubenas, runs, trainer, wait_for


def write(folder: Path, script: Path, **spec: Any) -> str:
    file = folder / "nas.yaml"
    file.write_text(yaml.safe_dump(document(script, **spec)))
    return str(file)


def ended(folder: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    run = kubenas("run", *arguments, cwd=folder, **environment)
    output, errors = run.communicate(timeout=PATIENCE)
    return run.returncode, output, errors


def test_a_run_in_a_log(tmp_path: Path) -> None:
    file = write(tmp_path, trainer(tmp_path, "finish()"), trials={"max": 12, "parallelism": 4})
    code, output, errors = ended(tmp_path, file)
    assert (code, errors) == (0, "")
    assert "\x1b" not in output
    lines = output.splitlines()
    assert lines[0] == "tiny: 12 trials, 4 at once; state in .kubenas/tiny"
    assert sum(bool(re.match(r" ?\d+/12  tiny-\d+  accuracy 0\.\d+  \S+ s  \|", line)) for line in lines) == 12
    assert re.search(r"^trial +accuracy +time +architecture", output, re.M)
    assert "… and 2 more in .kubenas/tiny/trials" in lines
    assert "Succeeded: 12 of 12 trials have a result." in lines
    assert re.search(r"^Best architecture: accuracy 0\.\d+, of trial tiny-\d+\n\n[123] = ", output, re.M)
    again = ended(tmp_path, file)
    assert again[0] == 0
    assert "tiny-0  accuracy" not in again[1], "it has ended: nothing runs again"


def test_a_run_that_fails(tmp_path: Path) -> None:
    script = trainer(tmp_path, "sys.exit('no data')")
    code, output, _ = ended(tmp_path, write(tmp_path, script, trials={"max": 1, "retries": 1}))
    assert code == 1
    assert "tiny-0: attempt 1 failed: NonZeroExit: the trainer exited with 1: no data; it is tried again" in output
    assert "1/1  tiny-0  failed: NonZeroExit: the trainer exited with 1: no data" in output
    assert "Failed: None of 1 trials has a result." in output
    assert "Logs of the trials are in .kubenas/tiny/attempts." in output


def test_what_a_search_may_not_see_is_shown_as_such(tmp_path: Path) -> None:
    script = trainer(
        tmp_path,
        """
metrics = {"test_accuracy": 0.5, "accuracy": 0.75, "parameters": 12345678}
message = {"results": [{"candidate": "0", "step": 1, "metrics": metrics}]}
open(os.environ["KUBENAS_TERMINATION_LOG"], "w").write(json.dumps(message))
""",
    )
    _, output, _ = ended(tmp_path, write(tmp_path, script, trials={"max": 1}))
    assert re.search(r"^trial +accuracy +parameters +test_accuracy", output, re.M)
    assert re.search(r"^tiny-0 +0\.75 +12345678 +0\.5", output, re.M)
    assert "test_accuracy 0.5 (reported only; the search does not see it)" in output


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_it_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals, code: int) -> None:
    script = trainer(tmp_path, "if trial['trial'] == 'tiny-1': held(trial['trial'])", "finish()")
    file = write(tmp_path, script, trials={"max": 3})
    run, pid = kubenas("run", file, cwd=tmp_path), tmp_path / "tiny-1.pid"
    wait_for(lambda: pid.exists() or run.poll() is not None, "trial 1")
    run.send_signal(number)
    output, errors = run.communicate(timeout=PATIENCE)
    assert (run.returncode, errors) == (code, "")
    assert "Stopped. The same command goes on from here; the state is in .kubenas/tiny." in output
    assert not runs(int(pid.read_text()))
    (tmp_path / "go").touch()
    code, output, _ = ended(tmp_path, file)
    assert code == 0
    assert "Going on: 1 of 3 trials have ended." in output
    assert "Succeeded: 3 of 3 trials have a result." in output


def test_a_second_signal_kills_what_does_not_end(tmp_path: Path) -> None:
    script = trainer(
        tmp_path,
        "import signal",
        "signal.signal(15, lambda *_: open(f\"{os.environ['TEST_FOLDER']}/asked\", 'w'))",
        "held(trial['trial'])",
    )
    run = kubenas("run", write(tmp_path, script), cwd=tmp_path)
    pid = tmp_path / "tiny-0.pid"
    wait_for(lambda: pid.exists() or run.poll() is not None, "trial 0")
    run.send_signal(signal.SIGINT)
    wait_for((tmp_path / "asked").exists, "the trainer to be asked")
    run.send_signal(signal.SIGINT)
    output, errors = run.communicate(timeout=PATIENCE)
    assert (run.returncode, errors) == (130, "")
    assert "Once more kills them." in output
    wait_for(lambda: not runs(int(pid.read_text())), "the trainer to go")


def test_a_changed_space_is_refused(tmp_path: Path) -> None:
    script = trainer(tmp_path, "finish()")
    assert ended(tmp_path, write(tmp_path, script, trials={"max": 1}))[0] == 0
    code, _, errors = ended(tmp_path, write(tmp_path, script, trials={"max": 1}, search={"seed": 2}))
    assert code == 1
    assert errors == (
        "spec.search.seed: is not what the trials in .kubenas/tiny were run with: change it back, "
        "or choose another --state to start over\n"
    )


def test_a_terminal_shows_how_far_it_is(tmp_path: Path) -> None:
    file = write(tmp_path, trainer(tmp_path, "finish()"), trials={"max": 3})
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "kubenas.cli", "run", file],
        cwd=tmp_path,
        stdout=theirs,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "140"},
    ) as run:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
        assert run.wait(PATIENCE) == 0
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert re.search(r"tiny .* 3/3 0 running best accuracy 0\.\d+ 0:00:\d\d left 0:00:00", text)


def test_kubenas_own_trainer_learns_digits(tmp_path: Path) -> None:
    experiment = document(tmp_path, name="digits", trials={"max": 1, "retries": 0}, evaluation={"epochs": 2})
    experiment["spec"]["task"] = {
        "name": "image-classification",
        "dataset": {"name": "digits"},
        "settings": {"network": {"channels": 4, "cellsPerStack": 1}},
    }
    del experiment["spec"]["trialTemplate"]
    (tmp_path / "nas.yaml").write_text(yaml.safe_dump(experiment))
    code, output, errors = ended(tmp_path, "nas.yaml", OMP_NUM_THREADS="1")
    assert code == 0, output + errors
    assert re.search(r"^test_accuracy 0\.\d+ \(reported only; the search does not see it\)$", output, re.M)
    assert [*(tmp_path / ".kubenas/digits/checkpoints/digits-0").glob("0.*.safetensors")]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("to mount a small disk takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_told_and_a_later_run_goes_on(tmp_path: Path, small_disk: Path) -> None:
    file = write(tmp_path, trainer(tmp_path, "finish()"), trials={"max": 24, "parallelism": 2, "maxFailures": 24})
    state = small_disk / "state"
    code, _, errors = ended(tmp_path, file, "--state", str(state))
    assert code == 1
    assert re.fullmatch(
        rf"{state}\S*: cannot be written \(No space left on device\): make room or mend the folder; "
        r"the same command then goes on from what was written\n",
        errors,
    )
    kept = [json.loads(path.read_text()) for path in (state / "trials").glob("*.json")]
    done = {one["metadata"]["name"] for one in kept if one["status"].get("phase") == "Succeeded"}
    assert done
    assert list(state.rglob("*.partial")) == []
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    code, output, errors = ended(tmp_path, file, "--state", str(state))
    assert (code, errors) == (0, "")
    assert "24 of 24" in output or "24/24" in output
    assert not any(f"  {name}  " in output for name in done), "what has ended is not run again"


def test_a_trainer_that_meets_the_full_disk_first_has_not_failed(tmp_path: Path, small_disk: Path) -> None:
    """It leaves too little room for its checkpoint, but enough for a status."""
    fill = """
with open(os.environ["KUBENAS_CHECKPOINT_DIR"] + "/0", "wb", buffering=0) as file:
    while file.tell() < 1 << 20:
        try:
            file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - (24 << 10))
            raise
finish()
"""
    file = write(tmp_path, trainer(tmp_path, fill), trials={"max": 1, "retries": 0})
    state = small_disk / "state"
    code, output, errors = ended(tmp_path, file, "--state", str(state))
    assert (code, "failed" in output) == (1, False)
    assert re.fullmatch(rf"{state}\S*: cannot be written \(No space left on device\): make room .*\n", errors)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    code, output, errors = ended(tmp_path, file, "--state", str(state))
    assert (code, errors) == (0, ""), output
    status = json.loads((state / "trials" / "tiny-0.json").read_text())["status"]
    assert (status["phase"], status["attempt"], status["failures"]) == ("Succeeded", 2, 0)


def test_a_state_that_is_removed_meanwhile_is_told(tmp_path: Path) -> None:
    body = "import shutil; shutil.rmtree(pathlib.Path(os.environ['KUBENAS_CHECKPOINT_DIR']).parents[1]); finish()"
    script = trainer(tmp_path, f"import os, pathlib; {body}")
    code, _, errors = ended(tmp_path, write(tmp_path, script, trials={"max": 4, "parallelism": 1}))
    assert code == 1
    assert re.fullmatch(
        r"(trial tiny-0 cannot be run|\.kubenas/tiny/\S+: cannot be written) ?.*No such file.*\n", errors
    )
