"""The operator's image: what is in it, and how much."""

from __future__ import annotations

import gzip
import json
import tarfile
from typing import IO, TYPE_CHECKING, cast

import pytest

from tests.cluster import images, system
from tests.cluster.images import OPERATOR, Built

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.node

MOST_BYTES = 250_000_000
# All but the benchmark's, which draws; the operator itself imports a strategy with the first search that has it.
IMPORT_ALL = """
import importlib, pkgutil, kubenas
for module in pkgutil.walk_packages(kubenas.__path__, "kubenas."):
    if not module.name.startswith("kubenas.bench") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
        print(module.name)
"""


@pytest.fixture(scope="module")
def operator() -> Iterator[Built]:
    system.require_root()
    system.install()
    with images.building():
        images.base()
        yield images.build(OPERATOR)


class Counter:
    """A file that keeps the number of its bytes alone."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, data: bytes) -> int:
        self.written += len(data)
        return len(data)

    def flush(self) -> None: ...


def compressed(layer: Path) -> int:
    """Bytes of a layer as a registry holds it."""
    counter = Counter()
    with (
        gzip.GzipFile(fileobj=cast("IO[bytes]", counter), mode="wb", compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        archive.add(layer, arcname=".")
    return counter.written


def test_the_image_is_small(operator: Built) -> None:
    """With its base, which is larger than the Dockerfile's."""
    sizes = [compressed(layer) for layer in operator.layers]
    assert sum(sizes) <= MOST_BYTES, sizes


def test_the_image_has_no_torch_and_no_pip(operator: Built) -> None:
    packages = {path.name for layer in operator.layers for path in layer.glob("opt/venv/lib/python3*/site-packages/*")}
    assert "kopf" in packages
    assert not [name for name in packages if name.startswith(("torch", "nvidia", "triton", "pip"))]


def test_the_image_runs_as_nobody_that_is_known(operator: Built) -> None:
    assert json.loads(operator.config)["config"]["User"] == "65532:65532"
    assert images.run_in(OPERATOR, "id", "-u") == "65532"


@pytest.mark.usefixtures("operator")
def test_the_image_has_all_that_the_operator_imports() -> None:
    imported = images.run_in(OPERATOR, "/opt/venv/bin/python", "-c", IMPORT_ALL).splitlines()
    assert {"kubenas.cluster.operator", "kubenas.search.predictor", "kubenas.cli.operator"} <= set(imported)
