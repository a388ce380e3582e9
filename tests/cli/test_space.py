"""`kubenas space describe`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kubenas.cli.main import app

OWN = """\
parameters:
  - {name: depth, type: int, min: 1, max: 2}
  - {name: op, type: choice, values: [conv, pool], repeat: {count: depth}}
constraints: ["size(op) == 2"]
"""
EXPERIMENT = """\
apiVersion: kubenas.io/v1alpha1
kind: NASExperiment
metadata: {name: digits}
spec:
  objectives: [{metric: accuracy}]
  task: {name: image-classification}
  searchSpace: {preset: nasbench201}
"""


def _describe(path: Path, text: str) -> tuple[int, str]:
    (path / "space.yaml").write_text(text)
    result = CliRunner().invoke(app, ["space", "describe", str(path / "space.yaml")])
    return result.exit_code, result.output.replace(f"{path}/", "")


def test_a_space_of_ones_own(tmp_path: Path) -> None:
    code, output = _describe(tmp_path, OWN)
    assert code == 0
    assert output.splitlines()[:7] == [
        "size: 4",
        "decisions:",
        "  depth  1 to 2",
        "  op.0   conv, pool  where depth is 1 or 2",
        "  op.1   conv, pool  where depth is 2",
        "constraint: size(op) == 2",
        "encodings: one-hot (7 numbers)",
    ]
    assert output.count("architecture ") == output.count(": depth=2 op=") == 3


def test_an_experiments(tmp_path: Path) -> None:
    code, output = _describe(tmp_path, EXPERIMENT)
    assert code == 0
    assert "size: 5,260" in output
    assert output.count("  3 = ") == output.count("  costs: params ") == 3


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("preset: mlp", "unbounded"),
        ("preset: transformer-decoder", "1.504e+60"),
        ("{preset: vit, constraints: [depth == 13]}", "more than could be counted, at most 1.057e+9"),
    ],
)
def test_sizes_that_are_large(tmp_path: Path, text: str, size: str) -> None:
    code, output = _describe(tmp_path, text)
    assert code == 0
    assert output.startswith(f"size: {size}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("preset: nasbench", "space.yaml:1: preset: must be 'nasbench201', "),
        ("{}", "space.yaml:1: needs exactly one of preset"),
        ("preset: vit\npreset: mlp", "space.yaml:2: preset: is there twice"),
        ("- preset: vit", "space.yaml: is no object"),
        (OWN.replace('== 2"]', '== 2", depth > 7]'), "space.yaml:4: constraints[1]: leaves no architecture"),
        (EXPERIMENT.replace("}\n", ", x: 1}\n"), "space.yaml:6: spec.task.x: is no known field"),
        (OWN.replace("size(op)", "size(ops)"), "space.yaml:4: constraints[0]: ops is no decision"),
        (OWN.replace("count: depth", "count: deep"), "space.yaml:3: parameters[1].repeat.count: deep is no parameter"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    code, output = _describe(tmp_path, text)
    assert code == 1
    assert says in output
