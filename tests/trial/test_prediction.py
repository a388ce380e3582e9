"""A checkpoint alone is enough to use what was trained, for every task."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from shutil import copy
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas.space.load import build_space
from kubenas_trial.architecture import default_architecture
from kubenas_trial.blueprint import Blueprint
from kubenas_trial.contract import Candidate
from kubenas_trial.datasets.graph_data import GraphSettings, RawGraph, as_graph_data
from kubenas_trial.datasets.language_data import split_lines
from kubenas_trial.datasets.parallel_text import split_pairs
from kubenas_trial.datasets.questions import easy_vqa
from kubenas_trial.datasets.reversible import reversible_pairs
from kubenas_trial.datasets.sentiment import sentiment
from kubenas_trial.datasets.text_preprocessing import LanguagePreprocessing
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.evaluation.train import train
from kubenas_trial.networks.build import family_of
from kubenas_trial.networks.detector import Predictions
from kubenas_trial.prediction import Predictor, load_predictor
from kubenas_trial.storage.checkpoints import CheckpointStore
from kubenas_trial.tasks.answers import Choice, DetectedObject
from kubenas_trial.tasks.base import Task
from kubenas_trial.tasks.boxes import decode
from kubenas_trial.tasks.language_model import _ALICE
from kubenas_trial.tasks.load import TASKS, load_task, task_class
from kubenas_trial.tasks.node_classification import NodeClassification, NodeClassificationSettings
from kubenas_trial.tasks.translation import translate
from tests.trial.process import checkpoints_in
from tests.trial.test_examples import TINY
from tests.trial.test_image_networks import OWN, SMALL
from tests.trial.test_seeds import shortened
from tests.trial.training import Reports

CPU = torch.device("cpu")
FIRST = [0, 1, 2]
NODES = 40


class Saved(Reports):
    """Reports, and checkpoints in a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def checkpoints(self, candidate: Candidate) -> CheckpointStore:  # type: ignore[override]
        assert candidate.id == "0"
        return CheckpointStore(self.path)


def loaded(name: str) -> Task[Any, Any]:
    """The task on the data that it brings along, a few examples to be trained with."""
    settings = TINY[name]
    if name == "node-classification":
        data = as_graph_data(graph(), GraphSettings(normalization="columns"))
        return NodeClassification(NodeClassificationSettings(normalization="columns", **settings), data, CPU)
    dataset = Dataset(name=next(iter(task_class(name).built_in)))
    return shortened(load_task(TaskSpec(name=name, dataset=dataset, settings=settings), None, CPU))


def graph() -> RawGraph:
    generator = torch.Generator().manual_seed(0)
    features = 5 + 3 * torch.randn(NODES, 6, generator=generator)
    edges = torch.randint(NODES, (2, 80), generator=generator)
    return RawGraph("made", features, edges, torch.arange(NODES) % 3, classes=("red", "green", "blue"))


class Trained(NamedTuple):
    """A network of a task, whose checkpoint lies at `path`."""

    path: Path
    task: Task[Any, Any]
    network: nn.Module


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """By the name of the task; each is trained once."""

    @cache
    def once(name: str) -> Trained:
        path, task = tmp_path_factory.mktemp("trained") / "0.safetensors", loaded(name)
        space = SearchSpace.model_validate({"preset": task.preset})
        architecture = default_architecture(build_space(space), family_of(space, task.families, name).default)
        network = train(task, space, Candidate("0", architecture, 1, None), 0, Saved(path))
        return Trained(path, task, network.eval())

    return once


def raw_examples(name: str, task: Task[Any, Any]) -> list[Any]:
    """The first validation examples, as they were before they were prepared for a training."""
    validation = task.data.validation
    match name:
        case "image-classification" | "object-detection" | "semantic-segmentation":
            return list(validation.images[torch.as_tensor(validation.numbers)[FIRST]])
        case "text-classification" | "text-representation":
            return [row.text for row in sentiment(0).validation][: len(FIRST)]
        case "translation":
            return [pair.source for pair in split_pairs(reversible_pairs(10_000), 0).validation][: len(FIRST)]
        case "keyword-spotting":
            return list(validation.waves[FIRST])
        case "visual-question-answering":
            return [(question.image, question.text) for question in easy_vqa(0).validation][: len(FIRST)]
        case "language-model":
            return [next(iter(split_lines(_ALICE)["validation"]))]
        case _:
            return [(graph().features, graph().edges)]


def by_the_trainer(name: str, task: Task[Any, Any], network: nn.Module) -> list[Any]:
    """What the trained network says of the same examples, as the training has prepared them."""
    inputs = task.data.validation[[0] if name == "language-model" else FIRST].inputs
    match name:
        case "object-detection":
            found = Predictions.of(network(*inputs))
            return [decode(found, image, task.data.side) for image in FIRST]
        case "semantic-segmentation":
            return list(network(*inputs).argmax(1))
        case "text-representation":
            tokens = task.data.validation.probe[FIRST].inputs[0]
            return list(cast("Any", network).encoder.mean(tokens))
        case "translation":
            return translate(network, inputs[0], task.data.target_tokenizer, task.settings.length)
        case "language-model":
            preprocessing = task.preprocessing
            assert isinstance(preprocessing, LanguagePreprocessing)
            length = preprocessing.inputs(raw_examples(name, task))[0].shape[1]
            probability, token = network(inputs[0][:, :length])[0, -1].softmax(0).max(0)
            return [Choice(preprocessing.text_of(int(token)), float(probability))]
        case "node-classification":
            return [chosen(network(*inputs), task.data.classes)]
        case _:
            return chosen(network(*inputs), task.data.classes)


def chosen(logits: Tensor, classes: tuple[str, ...]) -> list[Choice]:
    chances = logits.softmax(1)
    return [Choice(classes[int(row.argmax())], float(row.max())) for row in chances]


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, Tensor):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    elif isinstance(expected, Choice):
        assert (found.label, found.probability) == (expected.label, pytest.approx(expected.probability, abs=1e-5))
    elif isinstance(expected, list):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


@pytest.mark.parametrize("name", TASKS)
def test_a_checkpoint_alone_says_what_the_trained_network_says(name: str, trained: Callable[[str], Trained]) -> None:
    path, task, network = trained(name)
    with torch.inference_mode():
        expected = by_the_trainer(name, task, network)
    predictor = load_predictor(path)
    found = predictor.predict(raw_examples(name, task))
    assert predictor.metrics.keys() >= {task.metric}
    if name == "object-detection":
        for image, objects in zip(expected, found, strict=True):
            assert [each.label for each in objects] == [task.data.classes[label] for label in image.labels]
            torch.testing.assert_close(torch.tensor([each.box for each in objects]).reshape(-1, 4), image.boxes)
        assert any(found), "an untrained detector finds something everywhere"
    else:
        assert_same(found, expected)


# A machine with the file, and nothing of the experiment.
ELSEWHERE = """
import json, sys
from kubenas_trial.prediction import load_predictor
predictor = load_predictor(sys.argv[1])
print(json.dumps([*map(list, predictor.predict(json.loads(sys.argv[2])))]))
"""


def test_another_process_needs_nothing_but_the_file(tmp_path: Path, trained: Callable[[str], Trained]) -> None:
    path, task, _ = trained("text-classification")
    texts = raw_examples("text-classification", task)
    here = load_predictor(path).predict(texts)
    copy(checkpoints_in(path.parent)[-1], tmp_path / "mine.safetensors")
    command = [sys.executable, "-c", ELSEWHERE, "mine.safetensors", json.dumps(texts)]
    there = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert_same([Choice(*each) for each in json.loads(there.stdout)], here)


def test_files_say_what_their_content_says(tmp_path: Path, trained: Callable[[str], Trained]) -> None:
    path, digits, _ = trained("image-classification")
    [image, *_] = raw_examples("image-classification", digits)
    Image.fromarray(image[0].numpy()).save(tmp_path / "digit.png")
    predictor = load_predictor(path)
    assert_same(predictor.predict([tmp_path / "digit.png"]), predictor.predict([image]))
    path, tones, _ = trained("keyword-spotting")
    [wave, *_] = raw_examples("keyword-spotting", tones)
    soundfile.write(tmp_path / "tone.wav", np.asarray(wave), tones.settings.sample_rate, subtype="FLOAT")
    predictor = load_predictor(path)
    assert_same(predictor.predict([tmp_path / "tone.wav"]), predictor.predict([wave]))


def test_boxes_and_masks_are_of_the_image_as_it_was(trained: Callable[[str], Trained]) -> None:
    wide = torch.randint(256, (3, 40, 90), dtype=torch.uint8)
    [mask] = load_predictor(trained("semantic-segmentation").path).predict([wide])
    assert mask.shape == (40, 90)
    [objects] = load_predictor(trained("object-detection").path).predict([wide])
    assert objects
    assert all(isinstance(each, DetectedObject) and each.box[0] >= 0 and each.box[2] <= 90 for each in objects)
    assert all(each.box[1] >= 0 and each.box[3] <= 40 for each in objects)


@pytest.mark.parametrize("kind", [*SMALL, *OWN])
def test_every_network_of_images_is_rebuilt(kind: str) -> None:
    spec = SearchSpace.model_validate(OWN.get(kind, {"preset": kind}))
    settings = {"network": {"channels": 4} if kind in OWN else SMALL[kind]}
    task = load_task(
        TaskSpec(name="image-classification", dataset=Dataset(name="digits"), settings=settings), None, CPU
    )
    architecture = build_space(spec).sample(Random(0))
    written = Blueprint.of(task, spec, architecture).model_dump_json(by_alias=True)
    network = Blueprint.model_validate_json(written).build()
    expected = task.build(architecture, spec).state_dict()
    assert [(name, value.shape) for name, value in network.state_dict().items()] == [
        (name, value.shape) for name, value in expected.items()
    ]


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A copy of the checkpoint whose blueprint is changed."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["kubenas"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    change(header["blueprint"])
    changed = path.with_name("changed.safetensors")
    save_file(tensors, changed, {"kubenas": json.dumps(header)})
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda blueprint: blueprint.update(task="oracle"),
        lambda blueprint: blueprint.update(task="text-classification"),
        lambda blueprint: blueprint.update(space={"preset": "oracle"}),
        lambda blueprint: blueprint["architecture"].update({"0-1": "oracle"}),
        lambda blueprint: blueprint["architecture"].update({"0-1": "none"}),
        lambda blueprint: blueprint["interface"].update(kind="Oracle"),
        lambda blueprint: blueprint["interface"].update(channels="many"),
        lambda blueprint: blueprint.pop("interface"),
        lambda blueprint: blueprint["settings"].pop("network"),
        lambda blueprint: blueprint["settings"]["network"].update(channels=3),
    ],
)
def test_what_cannot_be_rebuilt_is_one_error_that_names_the_file(
    change: Callable[[dict[str, Any]], Any], trained: Callable[[str], Trained]
) -> None:
    changed = rewritten(checkpoints_in(trained("image-classification").path.parent)[-1], change)
    with pytest.raises(InvalidTrialError, match=r"changed\.safetensors"):
        load_predictor(changed)


def test_examples_of_another_kind_are_refused(trained: Callable[[str], Trained]) -> None:
    predictor: Predictor = load_predictor(trained("image-classification").path)
    assert predictor.predict([]) == []
    with pytest.raises(ValueError, match=r"uint8 tensor of 1 channels, .* this tensor is torch\.float32"):
        predictor.predict([torch.zeros(1, 8, 8)])
