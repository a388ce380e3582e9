"""A Prometheus of a test's own, as a process beside a control plane."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from tests.cluster import programs
from tests.cluster.conditions import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.cluster.control_plane import ControlPlane

_ADDRESS = re.compile(r"Listening on.*address=(127[0-9.:]+)")


@contextmanager
def prometheus(
    control_plane: ControlPlane, config: Mapping[str, Any], name: str = "prometheus", rules: str | None = None
) -> Iterator[str]:
    """The URL of a Prometheus that listens on a port of its own choice.

    Args:
        config: its configuration.
        name: of the process, its log and its folder.
        rules: the text of `rules.yaml` beside the configuration.
    """
    folder = control_plane.folder / name
    folder.mkdir()
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    if rules is not None:
        (folder / "rules.yaml").write_text(rules)
    program = str(programs.prometheus() / "prometheus")
    flags = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    control_plane.start(name, [program, *flags, "--web.listen-address=127.0.0.1:0"])
    log = control_plane.logs / f"{name}.log"
    try:
        found = until(lambda: log.exists() and _ADDRESS.search(log.read_text()))
        yield f"http://{found[1]}"
    finally:
        control_plane.stop(name)
