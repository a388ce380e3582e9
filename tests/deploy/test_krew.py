"""The archive of `kubectl nas`, installed by the real krew and called by the real kubectl."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.control_plane import REPOSITORY

BUILT_FROM = ("deploy/krew", "deploy/requirements.txt", "operator", "trial_image", "examples")
FILES = ("pyproject.toml", "README.md", "LICENSE")


def build(project: Path, folder: Path) -> Path:
    subprocess.run([sys.executable, project / "deploy/krew/build.py", folder], check=True, stdout=subprocess.PIPE)
    return folder


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((folder / "nas.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(REPOSITORY, tmp_path_factory.mktemp("krew"))


def test_the_manifest_is_of_this_version_and_archive(built: Path) -> None:
    spec = manifest(built)["spec"]
    (platform,) = spec["platforms"]
    assert platform["sha256"] == hashlib.sha256((built / "kubectl-nas.tar.gz").read_bytes()).hexdigest()
    assert f"/{spec['version']}/kubectl-nas.tar.gz" in platform["uri"]
    assert spec["version"].removeprefix("v") in (REPOSITORY / "pyproject.toml").read_text()


def test_the_archive_depends_on_its_files_alone(built: Path, tmp_path: Path) -> None:
    """Not on when, where and by whom they were written."""
    project = tmp_path / "elsewhere"
    for name in (*BUILT_FROM, *FILES):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        of = REPOSITORY / name
        (shutil.copytree if of.is_dir() else shutil.copyfile)(of, project / name)
    for file in project.rglob("*"):
        file.chmod(0o775 if file.is_dir() or os.access(file, os.X_OK) else 0o600)
        os.utime(file, (1e9, 1e9))
    there = build(project, tmp_path / "there")
    assert (there / "kubectl-nas.tar.gz").read_bytes() == (built / "kubectl-nas.tar.gz").read_bytes()
    assert (there / "nas.yaml").read_bytes() == (built / "nas.yaml").read_bytes()


@pytest.mark.control_plane
def test_krew_installs_it_and_kubectl_calls_it(
    built: Path, tmp_path: Path, krew: Path, kubernetes_programs: Path
) -> None:
    root = tmp_path / "krew"
    path = os.pathsep.join([f"{root}/bin", str(kubernetes_programs), os.environ["PATH"]])
    environment = {**os.environ, "KREW_ROOT": str(root), "PATH": path}

    def tried(*command: str | Path) -> subprocess.CompletedProcess[str]:
        surroundings: dict[str, Any] = {"env": environment, "cwd": tmp_path, "stdin": subprocess.DEVNULL}
        return subprocess.run(command, check=False, capture_output=True, text=True, **surroundings)

    def run(*command: str | Path) -> str:
        done = tried(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    damaged = tmp_path / "damaged.tar.gz"
    damaged.write_bytes((built / "kubectl-nas.tar.gz").read_bytes() + b"\0")
    install: list[str | Path] = [krew, "install", f"--manifest={built}/nas.yaml"]
    refused = tried(*install, f"--archive={damaged}")
    assert refused.returncode == 1
    assert "checksum" in refused.stderr
    run(*install, f"--archive={built}/kubectl-nas.tar.gz")
    version = manifest(built)["spec"]["version"].removeprefix("v")
    assert run("kubectl", "nas", "version") == f"kubenas {version}\n"
    assert run("kubectl", "nas", "--help").startswith("Usage: kubectl nas ")
    run("kubectl", "nas", "validate", REPOSITORY / "examples/digits.yaml")
    # krew wants an index, whatever it holds.
    run("git", "init", "--quiet", root / "index/default")
    run(krew, "uninstall", "nas")
    assert [*(root / "store").iterdir(), *(root / "bin").iterdir()] == []
