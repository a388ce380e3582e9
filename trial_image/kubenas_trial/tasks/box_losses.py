"""Overlap of boxes and the losses of a detector's training, as torchvision has them.

By hand, since torchvision imports torch's compiler, which takes longer than torch itself.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

_EPSILON = 1e-7
# Of the paper.
_ALPHA, _GAMMA = 0.25, 2


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of each of `boxes` (n, 4) with each of `others` (m, 4): (n, m)."""
    both, union = _shared(boxes[:, None], others[None])
    return both / union


def giou_loss(boxes: Tensor, wanted: Tensor) -> Tensor:
    """1 - the generalized intersection over union (Rezatofighi et al., CVPR 2019) of each pair of (n, 4): (n)."""
    both, union = _shared(boxes, wanted)
    around = _area(boxes[:, :2].minimum(wanted[:, :2]), boxes[:, 2:].maximum(wanted[:, 2:]))
    return 1 - both / (union + _EPSILON) + (around - union) / (around + _EPSILON)


def focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy that weighs well-classified examples less (Lin et al., ICCV 2017), of each logit."""
    chances = logits.sigmoid()
    missed = chances + targets - 2 * chances * targets
    weights = _ALPHA * targets + (1 - _ALPHA) * (1 - targets)
    return weights * missed**_GAMMA * binary_cross_entropy_with_logits(logits, targets, reduction="none")


def _shared(boxes: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Areas of the intersection and of the union."""
    boxes, others = boxes.float(), others.float()
    both = _area(boxes[..., :2].maximum(others[..., :2]), boxes[..., 2:].minimum(others[..., 2:]))
    return both, _area(boxes[..., :2], boxes[..., 2:]) + _area(others[..., :2], others[..., 2:]) - both


def _area(corner: Tensor, opposite: Tensor) -> Tensor:
    return (opposite - corner).clamp(min=0).prod(-1)
