"""What all tests share."""

from __future__ import annotations

import os
import socket
import sys

import pytest
from hypothesis import settings

from tests.properties import register_profiles

# Before anything imports torch or NumPy: tests run in as many processes as there are cores, each with one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Many tests start Python: each would compile torch anew, which takes twice as long as importing it.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest_plugins = ["tests.ci", "tests.cluster.fixtures"]

register_profiles()
settings.load_profile("usual")


@pytest.fixture(scope="session")
def far() -> str:
    """An address of this machine that others could reach, as a service in a cluster has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("this machine has no address but its loopback one")
        address: str = probe.getsockname()[0]
    return address
