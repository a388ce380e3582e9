"""Make the archive of `kubectl nas` and its krew manifest: ``python deploy/krew/build.py FOLDER``.

The archive is the same, byte for byte, wherever and whenever it is made from the same files.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

import yaml

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
ARCHIVE = "kubectl-nas.tar.gz"


def build(folder: Path) -> None:
    """Write the archive and nas.yaml, which names it by its address in the release and its checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    with tempfile.TemporaryDirectory() as made:
        command = [sys.executable, "-m", "hatchling", "build", "--target=wheel", f"--directory={made}"]
        subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE)
        (wheel,) = Path(made).glob("*.whl")
        archive = packed([HERE / "kubectl-nas", PROJECT / "deploy/requirements.txt", PROJECT / "LICENSE", wheel])
    (folder / ARCHIVE).write_bytes(archive)
    text = (HERE / "nas.yaml").read_text()
    manifest = yaml.safe_load(text)
    manifest["spec"]["version"] = f"v{version}"
    for platform in manifest["spec"]["platforms"]:
        platform["uri"] = f"{manifest['spec']['homepage']}/releases/download/v{version}/{ARCHIVE}"
        platform["sha256"] = hashlib.sha256(archive).hexdigest()
    (folder / "nas.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False, width=120))


def packed(files: list[Path]) -> bytes:
    """A tar.gz of files at its top, without what differs between machines."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(files, key=lambda file: file.name):
            member = tarfile.TarInfo(file.name)
            member.size = file.stat().st_size
            member.mode = 0o755 if file.suffix == "" and file.read_bytes().startswith(b"#!") else 0o644
            with file.open("rb") as content:
                archive.addfile(member, content)
    return gzip.compress(tar.getvalue(), mtime=0)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
