"""`kubenas init`."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from typer.testing import CliRunner

from kubenas.cli.main import app
from kubenas.cli.manifest import read_manifest
from kubenas_trial.tasks.load import TASKS


def ran(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["init", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_commented_experiment(tmp_path: Path, task: str) -> None:
    file = tmp_path / "nas.yaml"
    code, output, errors = ran("--task", task, "--out", str(file))
    assert (code, errors) == (0, "")
    assert output == f"{file}: an experiment for {task}. Try it by: kubenas run {file}\n"
    assert read_manifest(file).spec.task.name == task
    assert file.read_text().count("#") > 10
    assert ran("--task", task) == (0, file.read_text(), "")


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    there = tmp_path / "nas.yaml"
    there.write_text("mine")
    code, _, errors = ran("--task", "translation", "--out", str(there))
    assert (code, errors) == (1, f"--out: {there} is there already: name another file\n")
    assert there.read_text() == "mine"
    code, _, errors = ran("--task", "translation", "--out", str(tmp_path / "no" / "nas.yaml"))
    assert code == 1
    assert "cannot be written: No such file or directory" in errors
    code, _, errors = ran("--task", "imagination")
    assert code == 1
    assert errors.startswith("--task: 'imagination' is unknown; choose of image-classification, keyword-spotting, ")


def test_the_wheel_has_them(tmp_path: Path) -> None:
    """Not beside the package's source, where this checkout has its own."""
    root = Path(__file__).parents[2]
    (wheel,) = WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    command = (
        "import kubenas, os; assert kubenas.__file__.startswith(os.getcwd()); from kubenas.cli.main import app; app()"
    )
    written = subprocess.run(
        [sys.executable, "-c", command, "init", "--task", "translation"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert written.stdout == (root / "examples" / "translation.yaml").read_text()
    assert (tmp_path / "installed" / "kubenas" / "examples").is_dir()
