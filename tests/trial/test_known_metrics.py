"""What the control plane knows of the trainer's metrics is what the trainer reports."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import get_args

import pytest
import torch

from kubenas.api.metric_names import ALWAYS, MEASURES, TASKS, metric_names
from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas.space.load import build_space
from kubenas_trial.contract import Candidate
from kubenas_trial.evaluation.train import train
from kubenas_trial.settings import TrainingSettings
from kubenas_trial.tasks.load import TASKS as TRAINED
from kubenas_trial.tasks.load import load_task, task_class
from tests.trial.training import Reports


def test_the_tasks_are_the_trainer_s() -> None:
    assert TASKS.keys() == TRAINED.keys()
    assert {name: metrics[0] for name, metrics in TASKS.items()} == {name: task_class(name).metric for name in TRAINED}
    [measures] = get_args(TrainingSettings.model_fields["measure"].annotation)[:1]
    assert set(get_args(measures)) == MEASURES.keys()


@pytest.mark.parametrize("name", TASKS)
def test_a_task_reports_its_metrics(name: str) -> None:
    kind = task_class(name)
    task = load_task(TaskSpec(name=name, dataset=Dataset(name=next(iter(kind.built_in)))), None, torch.device("cpu"))
    space = SearchSpace.model_validate({"preset": kind.preset})
    network = task.build(build_space(space).sample(Random(0)), space).eval()
    with torch.inference_mode():
        assert task.evaluate(network, task.data.validation).keys() == {*TASKS[name]}


def test_a_trial_reports_all_that_is_known() -> None:
    settings = {"measure": list(MEASURES)}
    spec = TaskSpec(name="image-classification", dataset=Dataset(name="digits"), settings=settings)
    task = load_task(spec, None, torch.device("cpu"))
    space, reports = SearchSpace(preset="mlp"), Reports()
    architecture = build_space(space).sample(Random(0))
    train(task, space, Candidate("0", architecture, 1, None), 0, reports)
    own = {*TASKS["image-classification"]}
    known = {*own, *ALWAYS, *(name for names in MEASURES.values() for name in names), *(f"int8_{name}" for name in own)}
    found = {name for name in reports.all[-1] if not name.startswith("test_")}
    costs = build_space(space).costs(architecture)
    assert found == known | costs.keys()
    assert reports.all[-1].keys() == {*metric_names("image-classification", MEASURES, costs)}


def test_the_docs_table_has_every_task_with_its_metrics() -> None:
    text = (Path(__file__).parents[2] / "docs" / "trainer.md").read_text()
    table = text.partition("| task | on validation | on test, at the end |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()[1:]]
    assert {name: tuple(metrics.split(", ")) for name, metrics, _ in rows} == dict(TASKS)
    assert all(test.split(", ") == [f"test_{metric}" for metric in TASKS[name]] for name, _, test in rows)
