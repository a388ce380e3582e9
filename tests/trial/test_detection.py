"""Object detection: which places find which objects, the loss, the metric, a short training."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.ops import box_iou as torchvision_box_iou
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from kubenas.api.task import Task as TaskSpec
from kubenas_trial.datasets.data import Batch
from kubenas_trial.datasets.detection_data import PADDING, DetectionExamples
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.detector import DETECTOR, Detector, Predictions
from kubenas_trial.tasks.box_losses import box_iou, focal_loss, giou_loss
from kubenas_trial.tasks.boxes import assign, centerness, decode, detection_loss
from kubenas_trial.tasks.load import load_task
from kubenas_trial.tasks.object_detection import ObjectDetection
from tests.properties import examples
from tests.trial.training import losses

SIDE = 64
SMALL = {"width": 0.1, "resolution": 1 / 6}


def detector(**changes: str) -> Detector:
    network = build_network({**DETECTOR.default, **changes}, DETECTOR, SMALL, Images(3, SIDE, SIDE, classes=3))
    assert isinstance(network, Detector)
    return network


@pytest.fixture(scope="module")
def task() -> ObjectDetection:
    spec = {"name": "object-detection", "dataset": {"name": "shapes"}, "settings": {"imageSize": SIDE, "batchSize": 4}}
    found = load_task(TaskSpec.model_validate(spec), None, torch.device("cpu"))
    assert isinstance(found, ObjectDetection)
    return found


boxes = st.builds(
    lambda x, y, width, height: [x, y, x + width, y + height],
    st.floats(0, SIDE / 2),
    st.floats(0, SIDE / 2),
    st.floats(12, SIDE / 2),
    st.floats(12, SIDE / 2),
)


@given(st.lists(st.tuples(boxes, boxes, st.floats(-9, 9), st.sampled_from([0.0, 1.0])), min_size=1, max_size=5))
def test_overlaps_and_losses_are_those_of_torchvision(
    drawn: list[tuple[list[float], list[float], float, float]],
) -> None:
    found, wanted, logits, targets = (torch.tensor(column) for column in zip(*drawn, strict=True))
    torch.testing.assert_close(box_iou(found, wanted), torchvision_box_iou(found, wanted))
    for ours, theirs, values, right in (
        (giou_loss, generalized_box_iou_loss, found, wanted),
        (focal_loss, sigmoid_focal_loss, logits, targets),
    ):
        values.requires_grad_()
        mine, other = ours(values, right), theirs(values, right)
        torch.testing.assert_close(mine, other)
        slopes = [torch.autograd.grad(losses.sum(), values)[0] for losses in (mine, other)]
        torch.testing.assert_close(*slopes, atol=1e-4, rtol=1e-4)


@examples(25)
@given(st.lists(boxes, min_size=1, max_size=5), st.sampled_from(["anchors", "anchor_free"]))
def test_places_find_objects_that_they_lie_in(objects: list[list[float]], head: str) -> None:
    network = detector(head=head)
    truth = torch.tensor(objects)
    assigned = assign(network.priors, network.levels, truth)
    [positive] = torch.where(assigned >= 0)
    points = (network.priors[positive, :2] + network.priors[positive, 2:]) / 2
    of_place = truth[assigned[positive]]
    assert (points > of_place[:, :2]).all()
    assert (points < of_place[:, 2:]).all()
    assert len(positive) > 0, "an object of twelve pixels has a place of stride eight in it"


def test_an_object_is_found_on_the_level_of_its_size() -> None:
    network = build_network(DETECTOR.default, DETECTOR, {"width": 0.1}, Images(3, 192, 192, classes=3))
    assert isinstance(network, Detector)
    objects = torch.tensor([[40.0, 40, 72, 72], [10, 10, 138, 138]])
    assigned = assign(network.priors, network.levels, objects)
    for number, level in ((0, 0), (1, 2)):
        assert network.levels[assigned == number].unique().tolist() == [level]  # type: ignore[no-untyped-call]


def test_centerness_is_fcoss() -> None:
    box = torch.tensor([[0.0, 0, 8, 4]] * 3)
    found = centerness(torch.tensor([[4.0, 2], [2, 2], [0, 2]]), box)
    torch.testing.assert_close(found, torch.tensor([1.0, (2 / 6) ** 0.5, 0.0]))


def rows(network: Detector, truth: Tensor, labels: Tensor) -> Tensor:
    """The output of a network that knows: each place is sure of what it is to find."""
    assigned = assign(network.priors, network.levels, truth)
    known = assigned >= 0
    centres = (network.priors[:, :2] + network.priors[:, 2:]) / 2
    of_place = truth[assigned.clamp(min=0)]
    near = centerness(centres, of_place).clamp(1e-4, 1 - 1e-4).logit()
    scores = torch.full((len(known), 3), -12.0)
    scores[known, labels[assigned[known]]] = 12.0
    return torch.cat([scores, near[:, None], of_place, network.priors, network.levels[:, None]], dim=1)[None]


TRUTH, LABELS = torch.tensor([[4.0, 4, 24, 30], [30, 20, 60, 60]]), torch.tensor([2, 0])


def test_the_loss_falls_to_that_of_one_who_knows() -> None:
    network = detector()
    known = Predictions.of(rows(network, TRUTH, LABELS))
    right = float(detection_loss(known, [TRUTH], [LABELS]))
    moved = known._replace(boxes=known.boxes + 6)
    swapped = known._replace(logits=known.logits.flip(2))
    # What remains is the entropy of centerness, which is no certainty.
    assert right < 0.7
    assert float(detection_loss(moved, [TRUTH], [LABELS])) > right + 0.2
    assert float(detection_loss(swapped, [TRUTH], [LABELS])) > right + 0.2


@pytest.mark.parametrize("head", ["anchors", "anchor_free"])
def test_images_without_objects_teach_too(head: str) -> None:
    network = detector(head=head)
    loss = detection_loss(
        Predictions.of(network(torch.randn(2, 3, SIDE, SIDE))), [torch.zeros(0, 4)] * 2, [LABELS[:0]] * 2
    )
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_objects_are_found_once_each() -> None:
    found = decode(Predictions.of(rows(detector(), TRUTH, LABELS)), 0, SIDE)
    assert sorted(found.labels.tolist()) == [0, 2]
    order = found.labels.argsort(descending=True)
    torch.testing.assert_close(found.boxes[order], TRUTH)
    assert (found.scores[:-1] >= found.scores[1:]).all()


class Knowing(nn.Module):
    """Gives what its list says, batch after batch."""

    def __init__(self, answers: list[Tensor]) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, _images: Tensor) -> Tensor:
        return self.answers.pop(0)


def answers(task: ObjectDetection, examples: DetectionExamples, *, wrong: int) -> Knowing:
    """A network that knows all objects, but takes `wrong` classes for the next."""
    network = detector()
    batches = []
    for batch in task.batches(examples):
        each = [
            rows(network, boxes[labels != PADDING], (labels[labels != PADDING] + wrong) % 3)
            for boxes, labels, _ in zip(*batch.targets, strict=True)
        ]
        batches.append(torch.cat(each))
    return Knowing(batches)


def test_the_metric_is_high_for_one_who_knows_and_low_for_one_who_does_not(task: ObjectDetection) -> None:
    examples = task.data.validation
    right = task.evaluate(answers(task, examples, wrong=0), examples)
    # An object that others leave but a few pixels of may have no place in it.
    assert right["map"] > 0.9
    assert right["map_50"] >= right["map"]
    wrong = task.evaluate(answers(task, examples, wrong=1), examples)
    assert wrong["map_50"] < 0.1


def test_ignored_objects_are_neither_learned_nor_counted(task: ObjectDetection) -> None:
    images = torch.randn(1, 3, SIDE, SIDE)
    truth, labels = torch.tensor([[[4.0, 4, 24, 30], [30, 20, 60, 60]]]), torch.tensor([[2, 0]])
    network = detector().eval()
    skip = Batch((images,), (truth, labels, torch.tensor([[False, True]])))
    alone = Batch((images,), (truth[:, :1], labels[:, :1], torch.tensor([[False]])))
    with torch.no_grad():
        assert torch.equal(task.loss(network, skip), task.loss(network, alone))


def test_a_few_steps_lower_the_loss(task: ObjectDetection) -> None:
    torch.manual_seed(0)
    network = detector()
    batch = task.data.test[range(4)]
    found = losses(task, network, batch, steps=12, rate=3e-3)
    assert found[-1] < 0.8 * found[0]
