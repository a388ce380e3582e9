"""Images from buildah's storage into a containerd's, without a copy.

Both keep each layer of an image as a folder of files. With gigabytes in a layer it matters that neither packs nor
unpacks them for the other: what containerd gets are hard links. Neither ever writes to a layer's files.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.cluster.containerd import ctr
from tests.cluster.system import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.cluster.images import Built
    from tests.cluster.namespace import Namespace


def import_images(namespace: Namespace, builds: Sequence[Built], folder: Path) -> None:
    """Give the containerd of a namespace some images.

    To be done each time it starts: it then forgets images of whose layers it has no archive, though not the layers.

    Args:
        namespace: where containerd runs.
        builds: the images.
        folder: for a file to hand over, where containerd can read it.
    """
    for build in builds:
        _link_layers(namespace, build)
    archive = folder / "images.tar"
    _write_archive(archive, builds)
    ctr(namespace, "images", "import", str(archive))


def _link_layers(namespace: Namespace, build: Built) -> None:
    """Make the layers of an image snapshots, each named for the chain of layers that it ends."""
    chain = ""
    for layer, difference in zip(build.layers, json.loads(build.config)["rootfs"]["diff_ids"], strict=True):
        parent, chain = chain, _digest(f"{chain} {difference}".encode()) if chain else difference
        with suppress(RuntimeError):
            ctr(namespace, "snapshots", "info", chain)
            continue
        unfinished = f"unfinished-{chain}"
        ctr(namespace, "snapshots", "prepare", unfinished, *filter(None, [parent]))
        mount = ctr(namespace, "snapshots", "mounts", "/nowhere", unfinished)
        target = re.search(r"upperdir=([^,]+)|bind (\S+)", mount)
        assert target, mount
        run("cp", "--archive", "--link", f"{layer}/.", target[1] or target[2])
        ctr(namespace, "snapshots", "commit", chain, unfinished)


def _write_archive(file: Path, builds: Sequence[Built]) -> None:
    """Write an OCI archive of the images without their layers."""
    manifests = [
        {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": _digest(build.manifest),
            "size": len(build.manifest),
            "annotations": {"io.containerd.image.name": build.name},
        }
        for build in builds
    ]
    contents = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": manifests}).encode(),
    }
    for build in builds:
        for blob in (build.manifest, build.config):
            contents[f"blobs/{_digest(blob).replace(':', '/')}"] = blob
    with tarfile.open(file, "w") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
