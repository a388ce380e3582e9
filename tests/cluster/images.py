"""Container images without a registry: built from Dockerfiles by buildah on a base of Debian's own packages."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import cache, programs
from tests.cluster.system import progress, run

REPOSITORY = Path(__file__).parents[2]
SUITE = "bookworm"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")


@dataclass(frozen=True)
class Image:
    """An image of this repository.

    Attributes:
        name: what pods call it.
        dockerfile: its recipe, relative to the repository's root; builds on the image in the argument ``BASE``.
        context: gives the folder whose files the recipe may copy.
    """

    name: str
    dockerfile: str
    context: Callable[[], Path] = lambda: REPOSITORY


OPERATOR = Image("localhost/kubenas-operator:test", "Dockerfile")
TRIAL = Image("localhost/kubenas-trial:test", "trial_image/Dockerfile")
PROMETHEUS = Image("localhost/prometheus:test", "tests/cluster/prometheus/Dockerfile", programs.prometheus)
IMAGES = (OPERATOR, TRIAL, PROMETHEUS)


def base() -> str:
    """The name of an image with Debian and its Python, made first where needed (about a minute); it sleeps if run."""
    name = f"localhost/debian-python:{cache.key([SUITE, PATH, *BASE_PACKAGES])}"
    with cache.lock("base-image"):
        if not _buildah("images", "--quiet", "--filter", f"reference={name}"):
            with progress(f"Installing Debian {SUITE} into a base image"):
                _make_base(name)
    return name


def build(image: Image) -> str:
    """Build an image, as far as the layers of earlier builds do not serve, and give its ID.

    Before another build the ID is good for `push`; the caller sees to it that there is none.
    """
    dockerfile = REPOSITORY / image.dockerfile
    if not dockerfile.exists():
        raise FileNotFoundError(f"{image.name} is built from {dockerfile}, which does not exist")
    before = _identifier(image.name)
    on, context = base(), image.context()
    with progress(f"Building {image.name}"):
        _buildah(
            "build",
            "--layers",
            "--isolation=chroot",
            # what this machine trusts, for as long as the build lasts
            "--volume=/etc/ssl/certs:/etc/ssl/certs:ro",
            f"--build-arg=BASE={on}",
            f"--file={dockerfile}",
            f"--tag={image.name}",
            str(context),
        )
    identifier = _identifier(image.name)
    if before not in ("", identifier):
        _buildah("rmi", "--prune")
    return identifier


def push(name: str, layout: Path) -> None:
    """Write an image into an OCI layout, uncompressed; blobs that are there already are not written again."""
    _buildah("push", "--quiet", "--disable-compression", name, f"oci:{layout}:{name}")


def _make_base(name: str) -> None:
    with tempfile.TemporaryDirectory(dir=cache.root()) as root:
        run("debootstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}", SUITE, root)
        for of_this_machine in ("etc/resolv.conf", "etc/hostname"):
            Path(root, of_this_machine).unlink()
        container = _buildah("from", "scratch")
        _buildah("copy", "--quiet", container, root, "/")
    _buildah("config", f"--env=PATH={PATH}", '--cmd=["sleep", "infinity"]', container)
    _buildah("commit", "--quiet", "--rm", container, name)


def _identifier(name: str) -> str:
    return _buildah("images", "--quiet", "--no-trunc", "--filter", f"reference={name}")


def _buildah(*arguments: str) -> str:
    storage = cache.root() / "buildah"
    return run("buildah", f"--root={storage}", f"--runroot={storage}/run", "--storage-driver=overlay", *arguments)
