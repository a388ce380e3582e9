"""What is measured beside a task's metrics."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch
from torch import Tensor, nn

from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas.space.load import build_space
from kubenas_trial.architecture import default_architecture
from kubenas_trial.contract import Candidate
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.evaluation.train import train
from kubenas_trial.measure.export import check_suffix, export
from kubenas_trial.measure.latency import measure_latency
from kubenas_trial.measure.measures import size_mb
from kubenas_trial.measure.onnx_network import OnnxNetwork
from kubenas_trial.networks.build import family_of
from kubenas_trial.tasks.load import load_task
from tests.trial.training import Reports

SPACE = SearchSpace(preset="nasbench201")
ALL = ["latency_ms", "onnx_latency_ms", "size_mb", "int8"]


def test_a_trial_measures_what_it_is_asked_to(tmp_path: Path) -> None:
    settings = {"batchSize": 64, "network": {"channels": 8, "cellsPerStack": 1}, "measure": ALL}
    spec = TaskSpec(name="image-classification", dataset=Dataset(name="digits"), settings=settings)
    task = load_task(spec, None, torch.device("cpu"))
    space = build_space(SPACE)
    architecture = default_architecture(space, family_of(SPACE, task.families, task.name).default)
    reports = Reports()
    network = train(task, SPACE, Candidate("0", architecture, 2, None), 1, reports)
    first, _, last = reports.all
    assert {"latency_ms", "onnx_latency_ms", "size_mb", "params", "flops"} <= set(first), "known before training"
    for name in ("latency_ms", "onnx_latency_ms"):
        assert 0 < last[f"{name}_lower"] <= last[name] <= last[f"{name}_upper"]
    weights = sum(tensor.numel() for tensor in network.parameters()) * 4 / 1e6
    assert weights < last["size_mb"] < 1.2 * weights, "weights and the statistics of normalization"
    assert last["int8_size_mb"] < 0.6 * last["size_mb"]
    assert abs(last["int8_accuracy"] - last["accuracy"]) < 0.1
    assert abs(last["test_int8_accuracy"] - last["test_accuracy"]) < 0.1
    assert last["int8_loss"] != last["loss"]

    for name in ("network.onnx", "network.pt2"):
        export(network, task.example(2), tmp_path / name)
    onnx.checker.check_model(tmp_path / "network.onnx")
    batch = task.data.validation[range(5)]
    network.eval()
    wanted = network(*batch.inputs)
    found = [OnnxNetwork(tmp_path / "network.onnx", 1), torch.export.load(tmp_path / "network.pt2").module()]
    for exported in found:
        torch.testing.assert_close(exported(*batch.inputs), wanted, rtol=1e-4, atol=1e-5)


def test_measures_that_there_are_not_are_refused() -> None:
    spec = TaskSpec(name="image-classification", dataset=Dataset(name="digits"), settings={"measure": ["energy"]})
    with pytest.raises(InvalidTrialError, match=r"task\.settings\.measure\.0: .*'latency_ms'.*got 'energy'"):
        load_task(spec, None, torch.device("cpu"))
    spec = TaskSpec(name="text-representation", dataset=Dataset(name="sentiment"), settings={"measure": ["int8"]})
    with pytest.raises(InvalidTrialError, match=r"task\.settings\.measure\.0: .*got 'int8'"):
        load_task(spec, None, torch.device("cpu"))
    with pytest.raises(InvalidTrialError, match=r"network\.h5 must end in \.onnx or \.pt2"):
        check_suffix(Path("network.h5"))


def test_latency_is_of_evaluation_without_gradients() -> None:
    seen: list[tuple[bool, bool, int]] = []

    class Looking(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            seen.append((self.training, torch.is_grad_enabled(), torch.get_num_threads()))
            return inputs

    network, threads = Looking(), torch.get_num_threads()
    latency = measure_latency(network, (torch.zeros(1),), threads=2)
    assert 0 < latency.lower_ms <= latency.median_ms <= latency.upper_ms
    assert set(seen) == {(False, False, 2)}
    assert len(seen) >= 25
    assert network.training
    assert torch.get_num_threads() == threads


def test_size_counts_weights_and_buffers() -> None:
    assert size_mb(nn.Sequential(nn.Linear(10, 100), nn.BatchNorm1d(100))) == pytest.approx(
        (4 * (1000 + 100 + 4 * 100) + 8) / 1e6
    )
