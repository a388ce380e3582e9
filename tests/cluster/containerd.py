"""containerd, and the image store that every node starts with a copy of."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster import cache, images
from tests.cluster.namespace import Namespace
from tests.cluster.run_folder import RunFolder
from tests.cluster.system import progress, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOCKET = "/run/containerd.sock"  # in a /run of the node's own
CTR = ("ctr", f"--address={SOCKET}", "--namespace=k8s.io")
CONFIGURATION = """\
version = 2
root = "{root}"
state = "/run/containerd/state"
[grpc]
address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# a user namespace or a container around the cluster does not let go below its own score
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"
"""


def start(namespace: Namespace, name: str, root: Path, cni: Path) -> None:
    """Start a containerd in a namespace and wait until it serves.

    Args:
        namespace: where; it gets a /run of its own for sockets and the like.
        name: the process's.
        root: the folder for images and containers.
        cni: the folder with the network's configuration.
    """
    configuration = root.with_suffix(".toml")
    configuration.write_text(CONFIGURATION.format(root=root, socket=SOCKET, pause=images.base(), cni=cni))
    namespace.run("mount", "-t", "tmpfs", "tmpfs", "/run")
    namespace.start(name, ["containerd", f"--config={configuration}"])
    namespace.until(f"{name} serves", lambda: _serves(namespace))


def copy_store(store: Path, root: Path) -> None:
    """Give a containerd a copy of an image store, its large part by hard links.

    Layers and blobs are never written again, only unlinked; the databases are, and are copied.
    """
    run("cp", "--archive", "--link", str(store), str(root))
    for database in root.rglob("*.db"):
        copy = database.with_suffix(".copy")
        shutil.copyfile(database, copy)
        copy.rename(database)


@contextmanager
def image_store(wanted: Sequence[images.Image]) -> Iterator[Path]:
    """A containerd's folder that holds these images and the base, unpacked; made first where needed.

    It is there to be copied as long as the context lasts. The next store starts from this one, and then only the layers
    that are new are imported.
    """
    base = images.base()
    with cache.lock("images"):
        identifiers = {image.name: images.build(image) for image in wanted}
        folder = cache.root() / f"image-store-{cache.key([base, *sorted(identifiers.values())])}"
        if not folder.exists():
            earlier = sorted(cache.root().glob("image-store-*/"), key=lambda store: store.stat().st_mtime)
            with progress(f"Unpacking {', '.join(identifiers) or base}"):
                _make_store(folder, earlier[-1:], [base, *identifiers])
            for store in earlier:
                shutil.rmtree(store)
        yield folder


def _make_store(folder: Path, earlier: Sequence[Path], names: Sequence[str]) -> None:
    run_folder = RunFolder()
    try:
        root = run_folder.path / "containerd"
        for store in earlier:
            copy_store(store, root)
        with Namespace(run_folder) as namespace:
            start(namespace, "containerd", root, cni=run_folder.path)
            for name in names:
                _import(namespace, name, root)
            namespace.stop("containerd", signal.SIGTERM)
        root.rename(folder)
    finally:
        run_folder.remove()


def _import(namespace: Namespace, name: str, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        layout = Path(folder)
        stored, blobs = root / "io.containerd.content.v1.content/blobs/sha256", layout / "blobs/sha256"
        if stored.exists():
            blobs.parent.mkdir()
            run("cp", "--archive", "--link", str(stored), str(blobs))
        known = set(blobs.glob("*"))
        images.push(name, layout)
        files = [layout / "oci-layout", layout / "index.json", *set(blobs.iterdir()) - known]
        archive = ["tar", "--create", f"--directory={layout}", *(str(file.relative_to(layout)) for file in files)]
        with subprocess.Popen(archive, stdout=subprocess.PIPE) as tar:
            subprocess.run(
                namespace.entering([*CTR, "images", "import", "-"]),
                check=True,
                stdin=tar.stdout,
                stdout=subprocess.DEVNULL,
            )


def _serves(namespace: Namespace) -> bool:
    quiet = subprocess.DEVNULL
    done = subprocess.run(namespace.entering([*CTR, "version"]), check=False, stdout=quiet, stderr=quiet)
    return done.returncode == 0
