"""A detector's targets, its loss, and its detections."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from kubenas_trial.networks.detector import Predictions
from kubenas_trial.tasks.box_losses import box_iou, focal_loss, giou_loss

# Locations of each level that are considered for an object (ATSS, section 3.3).
_CANDIDATES = 9
# FCOS' thresholds: detections of a lower score, or with a larger overlap with one of a higher score, are dropped.
_MIN_SCORE = 0.05
_MAX_OVERLAP = 0.6
_BEFORE_NMS = 1000
# COCO's metrics count as many detections an image.
MAX_FOUND = 100


def assign(priors: Tensor, levels: Tensor, boxes: Tensor) -> Tensor:
    """The index in `boxes` (objects, 4) assigned to each location, or -1: ATSS (arXiv:1912.02424).

    For each object the nearest locations of each level are candidates. Those are chosen that lie inside of it and whose
    priors overlap it by more than the candidates' mean and deviation together. A location chosen for several gets
    the one that its prior overlaps most.

    Args:
        priors: (locations, 4).
        levels: (locations).
        boxes: as said, at least one.
    """
    centres = (priors[:, :2] + priors[:, 2:]) / 2
    distances = torch.cdist((boxes[:, :2] + boxes[:, 2:]) / 2, centres)
    nearest = []
    for level in torch.unique(levels):
        [locations] = torch.where(levels == level)
        near = distances[:, locations].topk(min(_CANDIDATES, len(locations)), dim=1, largest=False).indices
        nearest.append(locations[near])
    candidates = torch.cat(nearest, dim=1)
    overlaps = box_iou(boxes, priors)
    of_candidates = overlaps.gather(1, candidates)
    threshold = of_candidates.mean(1, keepdim=True) + of_candidates.std(1, keepdim=True)
    points = centres[candidates]
    inside = ((points > boxes[:, None, :2]) & (points < boxes[:, None, 2:])).all(2)
    chosen = torch.zeros_like(overlaps, dtype=torch.bool)
    chosen.scatter_(1, candidates, (of_candidates >= threshold) & inside)
    best = torch.where(chosen, overlaps, -1.0).max(0)
    return torch.where(best.values >= 0, best.indices, -1)


def centerness(points: Tensor, boxes: Tensor) -> Tensor:
    """How near to the centre of its box each point is, from 1 there to 0 at the border (FCOS, equation 3)."""
    before, behind = points - boxes[:, :2], boxes[:, 2:] - points
    ratio = torch.minimum(before, behind) / torch.maximum(before, behind).clamp(min=1e-6)
    return ratio.clamp(min=0).prod(1).sqrt()


def detection_loss(found: Predictions, boxes: list[Tensor], labels: list[Tensor]) -> Tensor:
    """Focal loss of the classes, GIoU loss of the boxes and cross-entropy of centerness, as FCOS adds them.

    Args:
        found: of a batch.
        boxes, labels: of the objects of each image, (objects, 4) and (objects).
    """
    batch, locations, classes = found.logits.shape
    targets = found.logits.new_zeros(batch, locations, classes)
    predicted, wanted, points, logits = [], [], [], []
    centres = (found.priors[:, :2] + found.priors[:, 2:]) / 2
    for image, (true_boxes, true_labels) in enumerate(zip(boxes, labels, strict=True)):
        if not len(true_boxes):
            continue
        assigned = assign(found.priors, found.levels, true_boxes)
        [positive] = torch.where(assigned >= 0)
        objects = assigned[positive]
        targets[image, positive] = one_hot(true_labels[objects], classes).to(targets.dtype)
        predicted.append(found.boxes[image, positive])
        wanted.append(true_boxes[objects])
        points.append(centres[positive])
        logits.append(found.centerness[image, positive])
    classification = focal_loss(found.logits, targets).sum()
    if not predicted:
        # No object: the other outputs enter with weight 0, so that every parameter has a gradient.
        return classification + 0 * (found.boxes.sum() + found.centerness.sum())
    nearness = centerness(torch.cat(points), torch.cat(wanted))
    overlap = giou_loss(torch.cat(predicted), torch.cat(wanted))
    centring = binary_cross_entropy_with_logits(torch.cat(logits), nearness, reduction="sum")
    count = max(1, len(nearness))
    return (classification + centring) / count + (overlap * nearness).sum() / nearness.sum().clamp(min=1e-6)


class Detections(NamedTuple):
    """The detections in one image, the most confident first.

    Attributes:
        boxes: (objects, 4).
        scores: from 0 to 1.
        labels: their classes.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def decode(found: Predictions, image: int, side: int) -> Detections:
    """The detections in image `image` of a batch, clipped to `side` pixels, after non-maximum suppression."""
    from torchvision.ops import batched_nms  # noqa: PLC0415 - longer to import than torch, and training needs it not

    # The geometric mean of probability and centerness, which is low far from an object's centre.
    scores = (found.logits[image].sigmoid() * found.centerness[image].sigmoid()[:, None]).sqrt()
    values, order = scores.flatten().topk(min(_BEFORE_NMS, scores.numel()))
    order = order[values > _MIN_SCORE]
    values = values[values > _MIN_SCORE]
    labels = order % scores.shape[1]
    boxes = found.boxes[image, order // scores.shape[1]].clamp(0, side)
    kept = batched_nms(boxes, values, labels, _MAX_OVERLAP)[:MAX_FOUND]
    return Detections(boxes[kept], values[kept], labels[kept])
