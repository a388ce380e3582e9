"""One rule for every task: published parts stay what they are called, and absent ones are cut from train."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from torch_geometric.data import Data

from kubenas_trial.datasets.data import targets_in
from kubenas_trial.tasks.load import TASKS
from tests.trial.published import boxes, image, load

# By task: writes a number of examples of each part; names of parts are those that files have.
Write = Callable[[Path, Mapping[str, int]], None]

COUNTS = {"train": 30, "val": 4, "test": 7}


def image_folders(root: Path, parts: Mapping[str, int]) -> None:
    for part, count in parts.items():
        for number in range(count):
            image(root / part / ("cat", "dog")[number % 2] / f"{number}.png", number)


def annotated(root: Path, parts: Mapping[str, int]) -> None:
    for part, count in parts.items():
        boxes(root / part, count)


def masks(root: Path, parts: Mapping[str, int]) -> None:
    for part, count in parts.items():
        (root / "masks" / part).mkdir(parents=True)
        for number in range(count):
            image(root / "images" / part / f"{number}.png", number)
            Image.fromarray(np.arange(20 * 24, dtype=np.uint8).reshape(20, 24) % 2).save(
                root / "masks" / part / f"{number}.png"
            )


def labelled(root: Path, parts: Mapping[str, int]) -> None:
    for part, count in parts.items():
        rows = [f"{part} {number} {number**2}\t{number % 2}\n" for number in range(count)]
        (root / f"{part}.tsv").write_text("text\tlabel\n" + "".join(rows))


def running_text(root: Path, parts: Mapping[str, int]) -> None:
    for part, count in parts.items():
        (root / f"{part}.txt").write_text("".join(f"line {number % 10}\n" for number in range(count)))


def pairs(root: Path, parts: Mapping[str, int]) -> None:
    for part, count in parts.items():
        (root / f"{part}.tsv").write_text("".join(f"go {number}\tgeh {number}\n" for number in range(count)))


def sounds(root: Path, parts: Mapping[str, int]) -> None:
    for part, count in parts.items():
        for number in range(count):
            file = root / part / ("high", "low")[number % 2] / f"{number}.wav"
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, np.random.default_rng(number).normal(0, 0.1, 400), 4000)


def listed_sounds(root: Path, parts: Mapping[str, int]) -> None:
    sounds(root, {".": sum(parts.values())})
    first = parts["train"]
    for part, name in (("val", "validation_list.txt"), ("test", "testing_list.txt")):
        if part in parts:
            numbers = range(first, first + parts[part])
            (root / name).write_text("".join(f"{('high', 'low')[number % 2]}/{number}.wav\n" for number in numbers))
            first += parts[part]


def nodes(root: Path, parts: Mapping[str, int]) -> None:
    count = sum(parts.values())
    part_of = torch.cat([torch.full((size,), place) for place, size in enumerate(parts.values())])
    torch.save(
        Data(
            x=torch.rand(count, 2),
            edge_index=torch.stack([torch.arange(count - 1), torch.arange(1, count)]),
            y=torch.arange(count) % 2,
            **{f"{part}_mask": part_of == place for place, part in enumerate(parts)},
        ),
        root / "graph.pt",
    )


def questions(root: Path, parts: Mapping[str, int]) -> None:
    for part, count in parts.items():
        lines = []
        for number in range(count):
            name = f"{part}{number}.png"
            image(root / "images" / name, number)
            lines.append(json.dumps({"image": name, "question": "which ?", "answer": str(number % 2)}))
        (root / f"{part}.jsonl").write_text("\n".join(lines))


WRITERS: dict[str, tuple[str, Write]] = {
    "image-classification": ("image-classification", image_folders),
    "object-detection": ("object-detection", annotated),
    "semantic-segmentation": ("semantic-segmentation", masks),
    "text-classification": ("text-classification", labelled),
    "text-representation": ("text-representation", labelled),
    "language-model": ("language-model", running_text),
    "translation": ("translation", pairs),
    "keyword-spotting": ("keyword-spotting", sounds),
    "keyword-spotting by lists": ("keyword-spotting", listed_sounds),
    "node-classification": ("node-classification", nodes),
    "visual-question-answering": ("visual-question-answering", questions),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "keyword-spotting": {"sampleRate": 4000, "seconds": 0.1, "bands": 4},
    "object-detection": {"imageSize": 16},
    "language-model": {"length": 2, "vocabulary": 257},
}


def size(examples: Any) -> int:
    return getattr(examples, "characters", None) or targets_in(examples)


def test_every_task_is_looked_at() -> None:
    assert {task for task, _ in WRITERS.values()} == set(TASKS)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("given", [("train", "val", "test"), ("train", "val"), ("train", "test"), ("train",)])
def test_published_parts_stay_and_absent_ones_are_cut_from_train(
    tmp_path: Path, name: str, given: tuple[str, ...]
) -> None:
    task, write = WRITERS[name]
    parts = {part: COUNTS[part] for part in given}
    write(tmp_path, parts)
    data = load(task, tmp_path, **SETTINGS.get(task, {}))
    found = {"train": size(data.train), "val": size(data.validation), "test": size(data.test)}
    unit = len("line 0\n") if task == "language-model" else 1
    for part in ("val", "test"):
        if part in given:
            assert found[part] == parts[part] * unit
        else:
            assert 0 < found[part] <= parts["train"] * unit / 4
    cut = sum(found[part] for part in found if part not in given)
    assert found["train"] + cut == parts["train"] * unit
