"""Image classification on digits: the split, the metrics, the refusals, a whole trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from kubenas_trial.contract import Trial
from kubenas_trial.datasets.data import Examples
from kubenas_trial.datasets.image_data import ImageClassificationSettings, digits
from kubenas_trial.run import run
from kubenas_trial.tasks.load import TASKS
from kubenas_trial.threads import cpu_limit
from tests.trial.process import TrialProcess, error_of, message, trial_document, trial_environment


def test_digits_are_scikit_learns_split_by_class() -> None:
    data = digits(ImageClassificationSettings(augmentation=False))
    assert (data.shape, data.classes) == ((1, 8, 8), tuple("0123456789"))
    splits = [batch_of(examples) for examples in (data.train, data.validation, data.test)]
    assert [len(labels) for _, labels in splits] == [1085, 357, 355]
    images, labels = load_digits(return_X_y=True)
    for (_, found_labels), share in zip(splits, (0.6, 0.2, 0.2), strict=True):
        counts = np.bincount(found_labels.numpy(), minlength=10)
        assert np.abs(counts - share * np.bincount(labels)).max() < 2
    # Normalization is one line for all pixels; undone, every image is there exactly once.
    scale = images[0].max() / 16
    assert scale == 15 / 16
    found = torch.cat([split_images.flatten(1) for split_images, _ in splits]).double()
    low, high = found.min(), found.max()
    pixels = ((found - low) / (high - low) * 16).round().numpy()
    assert sorted(map(tuple, pixels)) == sorted(map(tuple, images))


def test_digits_are_normalized_by_the_training_images() -> None:
    train, _ = batch_of(digits(ImageClassificationSettings(augmentation=False)).train)
    assert float(train.mean()) == pytest.approx(0, abs=1e-5)
    assert float(train.std()) == pytest.approx(1, abs=1e-5)


def batch_of(examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
    batch = examples[range(len(examples))]
    [images], [labels] = batch.inputs, batch.targets
    return images, labels


def test_a_trial_learns_digits_and_reports_its_curve(tmp_path: Path) -> None:
    document = trial_document()
    document["task"]["settings"]["augmentation"] = False  # which pays off in longer training only
    with TrialProcess(trial_environment(tmp_path, document, KUBENAS_SCRAPE_LIMIT="600")) as trial:
        trial.wait_for(lambda: (tmp_path / "termination-log").exists() and bool(message(tmp_path)))
        values, steps = trial.scrape()
        assert trial.exit_code() == 0
    [result] = message(tmp_path)["results"]
    assert (result["candidate"], result["step"], steps) == ("0", 3, {"0": 3})
    metrics = result["metrics"]
    measured = {"params", "flops", "seconds", "peak_memory_mb"}
    assert metrics.keys() == {"accuracy", "loss", "test_accuracy", "test_loss"} | measured
    assert metrics["accuracy"] >= 0.9
    assert metrics["test_accuracy"] >= 0.9
    shown = {name: value for name, value in metrics.items() if not name.startswith("test_")}
    assert values == {("0", name): value for name, value in shown.items()} | {("0", "epoch"): 3}


def test_a_seed_repeats_a_trial_and_another_does_not(tmp_path: Path) -> None:
    def accuracies(seed: int) -> tuple[float, float]:
        document = trial_document(seed=seed)
        document["candidates"] = [document["candidates"][0] | {"epochs": 1, "id": name} for name in "ab"]
        with Trial.from_environment(trial_environment(tmp_path, document)) as trial:
            run(trial)
        first, second = message(tmp_path)["results"]
        return first["metrics"]["loss"], second["metrics"]["loss"]

    torch.set_num_threads(1)
    assert accuracies(1) == accuracies(1)
    assert accuracies(1) != accuracies(2)
    first, second = accuracies(1)
    assert first != second, "each candidate has draws of its own"


def test_a_candidate_that_cannot_be_trained_fails_alone(tmp_path: Path) -> None:
    document = trial_document()
    first, absent = document["candidates"][0] | {"epochs": 1}, str(tmp_path / "absent.safetensors")
    document["candidates"] = [first | {"resumeFrom": absent}, first | {"id": "1"}]
    with Trial.from_environment(trial_environment(tmp_path, document)) as trial:
        run(trial)
    failed, result = message(tmp_path)["results"]
    assert (failed["candidate"], failed["error"]["reason"]) == ("0", "InvalidTrial")
    assert absent in failed["error"]["message"]
    assert (result["candidate"], result["step"]) == ("1", 1)
    assert 0 < result["metrics"]["test_accuracy"] <= 1


def test_more_metrics_than_the_message_holds_are_refused_before_any_training(tmp_path: Path) -> None:
    document = trial_document()
    document["task"]["settings"]["measure"] = ["latency_ms", "onnx_latency_ms", "size_mb", "int8"]
    document["candidates"] = [document["candidates"][0] | {"id": str(number)} for number in range(16)]
    with TrialProcess(trial_environment(tmp_path, document)) as trial:
        assert trial.exit_code() == 1
    reason, text = error_of(tmp_path)
    assert (reason, "list fewer in task.settings.measure" in text) == ("ResultsTooLarge", True)
    assert "epoch 1" not in trial.log


def test_a_trial_does_not_import_torchs_compiler(tmp_path: Path) -> None:
    script = """
import sys
from kubenas_trial.__main__ import main
main()
print("compiler", "torch._dynamo" in sys.modules, file=sys.stderr)
"""
    environment = trial_environment(tmp_path, KUBENAS_CHECKPOINT_DIR=str(tmp_path / "checkpoints"))
    with TrialProcess(environment, ("-c", script)) as trial:
        assert trial.exit_code() == 0
    assert "compiler False" in trial.log


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ({"name": "haiku"}, f"task.name: 'haiku' is unknown; choose of {', '.join(TASKS)}"),
        ({"name": "image-classification"}, "task.dataset: image-classification needs one"),
        (
            {"name": "image-classification", "dataset": {"name": "cats"}},
            "task.dataset.name: 'cats' is unknown; choose of digits, noise, or name files by task.dataset.path",
        ),
        (
            {"name": "image-classification", "dataset": {"name": "digits"}, "settings": {"batchsize": 3}},
            "task.settings.batchsize: is unknown, choose of accumulate, amp, augmentation, batchSize, "
            "checkpointActivations, clipNorm, compile, imageSize, labelSmoothing, latencyBatchSize, "
            "latencyThreads, learningRate, measure, memoryLimitMb, momentum, network, optimizer, schedule, splitSeed, "
            "warmupEpochs, weightDecay, workers",
        ),
        (
            {"name": "image-classification", "dataset": {"name": "digits"}, "settings": {"network": {"channels": 0}}},
            "task.settings.network.channels: Input should be greater than or equal to 1, got 0",
        ),
        (
            {"name": "image-classification", "dataset": {"name": "digits"}, "settings": {"learningRate": -1}},
            "task.settings.learningRate: Input should be greater than 0, got -1",
        ),
    ],
)
def test_what_is_unknown_is_an_invalid_trial_that_names_it(tmp_path: Path, task: dict[str, Any], text: str) -> None:
    environment = trial_environment(tmp_path, trial_document(task=task))
    with pytest.raises(SystemExit), Trial.from_environment(environment) as trial:
        run(trial)
    assert error_of(tmp_path) == ("InvalidTrial", text)


def test_diverged_training_is_no_result(tmp_path: Path) -> None:
    document = trial_document()
    document["task"]["settings"]["learningRate"] = 1000
    document["task"]["settings"]["weightDecay"] = 1
    environment = trial_environment(tmp_path, document)
    with pytest.raises(SystemExit), Trial.from_environment(environment) as trial:
        run(trial)
    reason, text = error_of(tmp_path)
    assert reason == "NonFiniteMetric"
    assert "the loss is nan" in text or "the loss is inf" in text


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "100000 100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_threads_follow_the_cgroups_quota(tmp_path: Path, files: dict[str, str], quota: int | None) -> None:
    import os

    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert cpu_limit(tmp_path) == (quota or len(os.sched_getaffinity(0)))


def test_batches_leave_no_single_example_to_normalize(tmp_path: Path) -> None:
    document = trial_document(searchSpace={"preset": "mlp"})
    # Four batches of the 1,085 training examples, and one example more.
    document["task"]["settings"] = {"batchSize": 271}
    decisions = {
        "depth": 1,
        "width.0": 16,
        "activation.0": "relu",
        "normalization": "batch",
        "skip": "none",
        "dropout": 0,
    }
    document["candidates"] = [{"id": "0", "architecture": decisions, "epochs": 1, "resumeFrom": None}]
    with Trial.from_environment(trial_environment(tmp_path, document)) as trial:
        run(trial)
    assert message(tmp_path)["results"][0]["step"] == 1
