"""Writes the CustomResourceDefinitions to ``crds/`` below the current folder: ``python -m kubenas.api.generate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from kubenas.api.crds import custom_resource_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER = "# Generated from operator/kubenas/api by `make generate`; do not edit.\n"


def rendered() -> dict[str, str]:
    """Each CRD's file name and its YAML text."""
    return {_file_name(crd): HEADER + _yaml(crd) for crd in custom_resource_definitions()}


def _file_name(crd: Mapping[str, Any]) -> str:
    return f"{crd['spec']['group']}_{crd['spec']['names']['plural']}.yaml"


class _Plain(yaml.SafeDumper):
    """Repeats what is there twice instead of pointing to it."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


def main(folder: Path) -> None:
    """Write every CRD to `folder`."""
    for name, text in rendered().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    main(Path("crds"))
