"""The Debian packages that a cluster with real nodes needs.

``python -m tests.cluster.system`` installs what is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = (
    "buildah",
    "conntrack",
    "containerd",
    "containernetworking-plugins",
    "debootstrap",
    "iproute2",
    "iptables",
    "openssl",
    "runc",
)


class MissingPrerequisiteError(Exception):
    """This machine lacks something that a test cluster needs; the message says what, and how to get it."""


def missing() -> list[str]:
    """The packages that are not installed.

    Raises:
        MissingPrerequisiteError: the machine has no dpkg to ask.
    """
    if shutil.which("dpkg-query") is None:
        raise MissingPrerequisiteError(f"not a Debian machine: install the like of {' '.join(PACKAGES)} yourself")
    listing = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *PACKAGES],
        check=False,  # it fails when it has never heard of a package
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ).stdout
    installed = {line.split()[0] for line in listing.splitlines() if line.endswith(" installed")}
    return [package for package in PACKAGES if package not in installed]


def require_root() -> None:
    """Say so where this process may not make namespaces and mounts.

    Raises:
        MissingPrerequisiteError: it does not run as root.
    """
    if os.geteuid() != 0:
        raise MissingPrerequisiteError(
            "the test cluster runs in Linux namespaces of its own, which needs root: use sudo"
        )


def install() -> None:
    """Install what is missing, without starting the services that come with it.

    Raises:
        MissingPrerequisiteError: something is missing and this process may not install it.
        subprocess.CalledProcessError: apt-get failed; its own message is on stderr.
    """
    if not (packages := missing()):
        return
    if os.geteuid() != 0:
        raise MissingPrerequisiteError(
            f"packages are missing and only root can install them: apt-get install {' '.join(packages)}"
        )
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    print(f"Installing {' '.join(packages)} …", file=sys.stderr, flush=True)
    subprocess.run(["apt-get", "update", "--quiet=2"], env=environment, check=True)
    with _services_held():
        subprocess.run(
            ["apt-get", "install", "--yes", "--quiet=2", "--no-install-recommends", *packages],
            env=environment,
            check=True,
        )


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Tell whoever waits what is being done, and then how long it took."""
    started = time.monotonic()
    print(f"{what} …", file=sys.stderr, flush=True)
    yield
    print(f"{what}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def run(*command: str) -> str:
    """What a command prints.

    Raises:
        RuntimeError: it failed; the message holds the end of what it printed.
    """
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        printed = (done.stdout + done.stderr)[-4000:]
        raise RuntimeError(f"{' '.join(command)} ended with status {done.returncode}:\n{printed}")
    return done.stdout.strip()


@contextmanager
def _services_held() -> Iterator[None]:
    """Keep Debian from starting the services of new packages: the cluster runs its own, and ports stay free."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():  # the machine's owner has decided
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


if __name__ == "__main__":
    try:
        install()
    except (MissingPrerequisiteError, subprocess.CalledProcessError) as error:
        sys.exit(f"tests.cluster.system: {error}")
