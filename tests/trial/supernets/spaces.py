"""The spaces that supernets are tested on, each with its supernet."""

from __future__ import annotations

from functools import cache
from typing import Final

import torch

from kubenas_trial.networks.build import family_of
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.supernet import Supernet
from kubenas_trial.tasks.load import task_class
from tests.trial.test_image_networks import OWN
from tests.trial.test_parameter_names import SPACES

PRESETS: Final = (
    "nasbench201",
    "darts",
    "mobilenet-ofa",
    "vit",
    "transformer-decoder",
    "bert-encoder",
    "bert-encoder of text-representation",
)
NAMES: Final = (*PRESETS, *OWN)


def networks_of(name: str) -> Networks:
    """The networks of a space, as small as can be."""
    each = SPACES[name]
    return Networks(
        family_of(each.spec, task_class(each.task).families, each.task), each.kind.small, each.kind.interface
    )


@cache
def supernet_of(name: str) -> Supernet:
    """The supernet of a space with weights as at first; not to be changed."""
    torch.manual_seed(0)
    return Supernet.of(SPACES[name].space, networks_of(name), torch.device("cpu"))
