"""Where everything that is slow to make is kept between runs, and the locks that let runs share it."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def root() -> Path:
    """The cache folder: ``$KUBENAS_CACHE``, by default ``~/.cache/kubenas``; made when absent."""
    configured = os.environ.get("KUBENAS_CACHE")
    folder = Path(configured).resolve() if configured else Path.home() / ".cache" / "kubenas"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def key(parts: Iterable[str | bytes]) -> str:
    """A short name for whatever these parts determine together."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:12]


@contextmanager
def lock(name: str) -> Iterator[None]:
    """Hold a lock that one process on this machine has at a time; it goes with the process, however that ends."""
    with (root() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
