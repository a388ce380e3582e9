"""Container images without a registry: built from Dockerfiles by buildah on a base of Debian's own packages."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster import cache, programs
from tests.cluster.system import progress, run

REPOSITORY = Path(__file__).parents[2]
SUITE = "bookworm"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")
BASE = f"localhost/debian-python:{cache.key([SUITE, PATH, *BASE_PACKAGES])}"


@dataclass(frozen=True)
class Image:
    """An image of this repository.

    Attributes:
        name: what pods call it.
        dockerfile: its recipe, relative to the repository's root; builds on the image in the argument ``BASE``.
        context: gives the folder whose files the recipe may copy.
        base: that image.
        stage: the recipe's stage that changes seldom; it is kept, so that a later build begins with it.
    """

    name: str
    dockerfile: str
    context: Callable[[], Path] = lambda: REPOSITORY
    base: str = BASE
    stage: str | None = None


@dataclass(frozen=True)
class Built:
    """An image that has been built, as it lies in buildah's storage.

    Attributes:
        name: what pods call it.
        manifest: the OCI manifest.
        config: the OCI configuration.
        layers: for each layer from the lowest the folder with its files, as the kernel's overlay takes them.
    """

    name: str
    manifest: bytes
    config: bytes
    layers: tuple[Path, ...]


OPERATOR = Image("localhost/kubenas-operator:test", "Dockerfile", stage="packages")
TRIAL = Image("localhost/kubenas-trial:test", "trial_image/Dockerfile")
PROMETHEUS = Image("localhost/prometheus:test", "tests/cluster/prometheus/Dockerfile", programs.prometheus)
OWN_TRAINER = Image(
    "localhost/own-trainer:test",
    "examples/own-trainer/Dockerfile",
    lambda: REPOSITORY / "examples" / "own-trainer",
    base=TRIAL.name,
)
# Each after the one that it builds on.
IMAGES = (OPERATOR, TRIAL, OWN_TRAINER, PROMETHEUS)


@contextmanager
def building() -> Iterator[None]:
    """Have buildah's storage to oneself: another build might take away the layers of an earlier one."""
    with cache.lock("images"):
        _buildah("rm", "--all")  # what a killed build has left mounted
        yield


def base() -> Built:
    """The image `BASE`: Debian with its Python; it sleeps if run. Made first where needed, which takes a minute."""
    if not _identifier(BASE):
        with progress(f"Installing Debian {SUITE} into a base image"):
            _make_base()
    return _built(BASE)


def build(image: Image) -> Built:
    """Build an image on its base, as far as the layers of earlier builds do not serve."""
    dockerfile = REPOSITORY / image.dockerfile
    if not dockerfile.exists():
        raise FileNotFoundError(f"{image.name} is built from {dockerfile}, which does not exist")
    before = _identifier(image.name)
    command = [
        "build",
        "--layers",
        "--isolation=chroot",
        # what this machine trusts, for as long as the build lasts
        "--volume=/etc/ssl/certs:/etc/ssl/certs:ro",
        f"--build-arg=BASE={image.base}",
        f"--file={dockerfile}",
    ]
    context = str(image.context())
    with progress(f"Building {image.name}"):
        if image.stage:
            _buildah(*command, f"--target={image.stage}", f"--tag={image.name}-{image.stage}", context)
        _buildah(*command, f"--tag={image.name}", context)
    if before not in ("", _identifier(image.name)):
        _buildah("rmi", "--prune")
    return _built(image.name)


def run_in(image: Image, *command: str) -> str:
    """What a command prints in an image that has been built, as the image's user."""
    container = _buildah("from", "--pull-never", image.name)
    try:
        return _buildah("run", "--isolation=chroot", container, "--", *command)
    finally:
        _buildah("rm", container)


def _built(name: str) -> Built:
    described = json.loads(_buildah("inspect", "--type=image", name))
    storage = _storage()
    parents = {layer["id"]: layer.get("parent", "") for layer in _records(storage / "overlay-layers/layers.json")}
    records = {record["id"]: record for record in _records(storage / "overlay-images/images.json")}
    layer = records[described["FromImageID"]]["layer"]
    layers: list[Path] = []
    while layer:
        layers.insert(0, storage / "overlay" / layer / "diff")
        layer = parents[layer]
    return Built(name, described["Manifest"].encode(), described["Config"].encode(), tuple(layers))


def _make_base() -> None:
    with tempfile.TemporaryDirectory(dir=cache.root()) as root:
        run("debootstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}", SUITE, root)
        for of_this_machine in ("etc/resolv.conf", "etc/hostname"):
            Path(root, of_this_machine).unlink()
        container = _buildah("from", "scratch")
        _buildah("copy", "--quiet", container, root, "/")
    _buildah("config", f"--env=PATH={PATH}", '--cmd=["sleep", "infinity"]', container)
    _buildah("commit", "--quiet", "--rm", container, BASE)


def _identifier(name: str) -> str:
    return _buildah("images", "--quiet", "--no-trunc", "--filter", f"reference={name}")


def _records(file: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(file.read_text())
    return records


def _buildah(*arguments: str) -> str:
    storage = _storage()
    options = (
        f"--root={storage}",
        f"--runroot={storage}/run",
        "--storage-driver=overlay",
        "--storage-opt=overlay.skip_mount_home=true",  # or it leaves a mount behind
    )
    return run("buildah", *options, *arguments)


def _storage() -> Path:
    return cache.root() / "buildah"
