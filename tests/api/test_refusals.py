"""Wrong manifests are refused, by the apiserver and by the models alike, each with the field's name."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from kubenas.api.validate import InvalidExperimentError, read_experiment
from tests.api.manifests import VALID, WRONG, Wrong, changed
from tests.api.test_conventions import NODES

if TYPE_CHECKING:
    from tests.api.conftest import Api

RULE_MESSAGES = {rule["message"] for node in NODES for rule in node.schema.get("x-kubernetes-validations", ())}

wrong_manifests = pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.what)


@pytest.mark.control_plane
@wrong_manifests
def test_the_apiserver_refuses(wrong: Wrong, api: Api) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        api.kubectl("create", "--dry-run=server", "--filename=-", stdin=json.dumps(wrong.document))
    if wrong.field not in {"apiVersion", "kind"}:  # those name the kind that is not there
        assert wrong.field in refusal.value.stderr
    assert wrong.says in refusal.value.stderr


@wrong_manifests
def test_the_models_refuse(wrong: Wrong) -> None:
    with pytest.raises(InvalidExperimentError) as refusal:
        read_experiment(wrong.document)
    for problem in refusal.value.problems:
        assert problem.field.startswith(wrong.field)
        assert problem.message
    if any(wrong.says in message for message in RULE_MESSAGES):
        assert wrong.says in refusal.value.problems[0].message


@pytest.mark.parametrize("field", ["spec.stages.0.keep", "spec.search.settings", "spec.task"])
def test_what_should_be_an_object_is_told_in_the_words_of_yaml(field: str) -> None:
    with pytest.raises(InvalidExperimentError, match="must be an object, with fields of its own, not 4"):
        read_experiment(changed((field, 4)))


def test_every_problem_is_told_at_once() -> None:
    document = changed(("spec.trials.max", 0), ("spec.search.seed", "1"), ("spec.stages.1.name", "Final"))
    with pytest.raises(InvalidExperimentError) as refusal:
        read_experiment(document)
    assert {problem.field for problem in refusal.value.problems} == {
        "spec.trials.max",
        "spec.search.seed",
        "spec.stages[1].name",
    }
    assert str(refusal.value).count("\n") == 2
    assert "spec.trials.max: must be greater than or equal to 1, not 0" in str(refusal.value)


def test_every_problem_of_one_object_is_told_at_once() -> None:
    wrong = {"name": "width", "type": "int", "min": 3.5, "max": 0.5, "values": ["a"], "numbers": [1]}
    cell = {"nodes": 3, "operations": ["a", "b", "a"], "none": "c", "skip": "d", "edges": [[0, 1], [1, 7], [5, 2]]}
    for space, fields in (
        ({"parameters": [wrong]}, ["values", "numbers", "min", "min", "max"]),
        ({"cell": cell}, ["operations[2]", "none", "skip", "edges[1]", "edges[2]"]),
    ):
        with pytest.raises(InvalidExperimentError) as refusal:
            read_experiment(changed(("spec.searchSpace", space)))
        told = [problem.field.rpartition(".")[2] for problem in refusal.value.problems]
        assert told == fields


def test_the_valid_manifest_is_read() -> None:
    assert read_experiment(VALID).spec.trials.max == 100
