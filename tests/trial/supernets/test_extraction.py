"""What is extracted of a supernet is a checkpoint of its own, which computes what the sub-network does."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from random import Random

import pytest
import torch
from typer.testing import CliRunner

from kubenas.space.base import Architecture
from kubenas_trial import checkpoint
from kubenas_trial.blueprint import Blueprint, SupernetKind
from kubenas_trial.checkpoint import Checkpoint
from kubenas_trial.cli.main import app
from kubenas_trial.datasets.image_data import ImageClassificationSettings, image_data
from kubenas_trial.datasets.published import Numbers
from kubenas_trial.errors import InvalidTrialError, NonFiniteMetricError
from kubenas_trial.prediction import load_predictor
from kubenas_trial.supernets.calibration import batch_norms, calibrate
from kubenas_trial.supernets.extraction import extract
from kubenas_trial.tasks.image_classification import ImageClassification
from tests.trial.supernets.spaces import NAMES, supernet_of
from tests.trial.test_parameter_names import SPACES


def pictures(name: str) -> ImageClassification:
    """The task with random images of the size and classes that the spaces' networks have here."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (40, 3, 24, 20), dtype=torch.uint8)
    numbers = Numbers([*range(30)], [*range(30, 35)], [*range(35, 40)])
    data = image_data(images, torch.arange(40) % 4, numbers, "abcd", None)
    settings = ImageClassificationSettings(batch_size=8, network=dict(SPACES[name].kind.small))
    return ImageClassification(settings, data, torch.device("cpu"))


def state_of(name: str) -> Checkpoint:
    """A checkpoint of the space's supernet."""
    space = SPACES[name]
    if space.task == "image-classification":
        blueprint = Blueprint.of(pictures(name), space.spec, Architecture({}), SupernetKind(rule="single-path"))
    else:
        tokens = {"kind": "Tokens", "vocabulary": 40, "length": 12, "classes": 3, "padding": 0}
        blueprint = Blueprint(
            task=space.task,
            space=space.spec.dump(),
            architecture={},
            settings={"network": dict(space.kind.small)},
            interface=tokens,
            preprocessing={},
            supernet=SupernetKind(rule="single-path"),
        )
    return Checkpoint(blueprint, 1, 0, 0.0, {}, supernet_of(name).state_dict(), {"state": {}, "param_groups": []}, {})


@pytest.mark.parametrize("name", NAMES)
def test_an_extracted_network_gives_the_logits_of_the_subnetwork(name: str, tmp_path: Path) -> None:
    space = SPACES[name]
    task = pictures(name) if space.task == "image-classification" else None
    checkpoint.save(tmp_path / "supernet.safetensors", state_of(name))
    state = checkpoint.load(tmp_path / "supernet.safetensors")
    normalized = 0
    for seed in range(3):
        architecture = space.space.sample(Random(seed))
        network = supernet_of(name).subnetwork(architecture).eval()
        if task is not None:
            calibrate(task, network, seed=7)
        normalized += len(batch_norms(network))
        checkpoint.save(tmp_path / "0.safetensors", extract(state, architecture, task, seed=7))
        alone = checkpoint.load(tmp_path / "0.safetensors", architecture.to_json())
        assert alone.blueprint.supernet is None
        built = alone.blueprint.build()
        built.load_state_dict(alone.model)
        inputs = space.kind.inputs(5)
        with torch.no_grad():
            assert torch.equal(built.eval()(*inputs), network(*inputs))
    assert bool(normalized) == (task is not None and name != "vit")


def test_batch_normalization_without_data_is_told(tmp_path: Path) -> None:
    state = state_of("nasbench201")
    with pytest.raises(InvalidTrialError, match=r"^dataset: the network has batch normalization.*name the data set"):
        extract(state, SPACES["nasbench201"].space.sample(Random(0)))
    checkpoint.save(tmp_path / "supernet.safetensors", state)
    with pytest.raises(InvalidTrialError, match="is of a supernet: make one of a sub-network by `kubenas-trial extr"):
        load_predictor(tmp_path / "supernet.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_have_diverged_make_no_network(value: float) -> None:
    state = deepcopy(state_of("nasbench201"))
    stem = next(name for name in state.model if "stem" in name and name.endswith(".weight"))
    state.model[stem].view(-1)[0] = value
    with pytest.raises(
        NonFiniteMetricError, match=r"^supernet: 1 of the [\d,]+ weights .* are NaN or infinite.*learningRate"
    ):
        extract(state, SPACES["nasbench201"].space.sample(Random(0)), pictures("nasbench201"))


def test_statistics_are_those_of_the_training_examples_and_no_weight_changes() -> None:
    task, supernet = pictures("nasbench201"), supernet_of("nasbench201")
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    network = supernet.subnetwork(SPACES["nasbench201"].space.sample(Random(1)))
    calibrate(task, network, seed=0)
    # Of the first: the mean over batches of what the stem's convolution gives for training images, of whole batches.
    stem = network.get_submodule("stem.k3")
    [norm, *_] = batch_norms(network)
    outputs = [stem(*batch.inputs) for batch in task.batches(task.data.train)]
    found, whole = norm.running_mean, torch.cat(outputs).mean((0, 2, 3))
    assert found is not None
    torch.testing.assert_close(found, whole, atol=0.1, rtol=0.1)
    assert not network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())
    with torch.no_grad():
        inputs = next(iter(task.batches(task.data.validation))).inputs
        torch.testing.assert_close(network(*inputs)[:1], network(inputs[0][:1]))


def test_extract_by_hand_makes_a_network_to_predict_with(tmp_path: Path) -> None:
    from kubenas_trial.contract import Trial
    from kubenas_trial.run import run
    from tests.trial.process import CELL, trial_document, trial_environment

    document = trial_document(evaluation={"method": "supernet"}, candidates=[{"id": "0", "epochs": 1}])
    with Trial.from_environment(trial_environment(tmp_path, document, KUBENAS_CHECKPOINT_DIR=str(tmp_path))) as trial:
        run(trial)
    cell = trial.space.name(trial.space.parse(CELL))
    arguments = ["extract", str(tmp_path / "0.safetensors"), "--architecture", cell, "--out"]
    out = tmp_path / "alone.safetensors"
    refused = CliRunner().invoke(app, [*arguments, str(out)])
    assert (refused.exit_code, out.exists()) == (64, False)
    assert "name the data set that the supernet was trained on" in refused.output
    for taken, says in ((tmp_path, "is a folder"), (tmp_path / "0.safetensors", "is the supernet: name another file")):
        refused = CliRunner().invoke(app, [*arguments, str(taken), "--dataset", "digits"])
        assert (refused.exit_code, says in refused.output) == (64, True), refused.output
    made = CliRunner().invoke(app, [*arguments, str(out), "--dataset", "digits"])
    assert made.exit_code == 0, made.output
    [choice] = load_predictor(out).predict([torch.zeros(1, 8, 8, dtype=torch.uint8)])
    assert choice.label in "0123456789"
