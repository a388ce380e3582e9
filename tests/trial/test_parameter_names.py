"""A parameter's name says its place and its operation, and depends on nothing else: networks can share parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture, Space
from kubenas.space.load import build_space
from kubenas_trial.networks.build import build_network, family_of
from kubenas_trial.tasks.load import TASKS, task_class
from tests.properties import examples
from tests.trial.parts_of_networks import PARTS, Row
from tests.trial.test_exports import KINDS, Kind
from tests.trial.test_image_networks import OWN

IMAGES = KINDS["image-classification inputs"]
PARAMETERS = {
    "parameters": [
        {"name": "hidden", "type": "int", "min": 2, "max": 9},
        {"name": "layers", "type": "int", "min": 1, "max": 4},
        {"name": "dropout", "type": "float", "min": 0.0, "max": 0.5},
    ]
}
# What differs between operations that are not the same, though their parameters may have the same shapes.
SETTINGS = ("kernel_size", "dilation", "cell", "directions", "transposed")
# Decisions of how wide something is.
WIDTHS = {
    "mobilenet-ofa": r"unit\d_expansion\.\d",
    "detector": r"backbone_width",
    "mlp": r"width\.\d",
    "unet": r"base_width",
    "tcn": r"width\.\d",
    "rnn": r"width|conv_width\.\d",
    "image-text": r"(text|fusion)_width|image_width\.\d",
}
# What is normalized over channels, which is another with more of them, or by a direction, which 0 has none of.
NORMALIZED = {"layer", "group", "weight", "transformer", "cross_attention"}


class Networks(NamedTuple):
    """A space with the networks of its architectures."""

    name: str
    space: Space
    task: str
    spec: SearchSpace
    kind: Kind

    def network(self, architecture: Architecture, **sizes: Any) -> nn.Module:
        family = family_of(self.spec, task_class(self.task).families, self.task)
        return build_network(architecture, family, {**self.kind.small, **sizes}, self.kind.interface)

    def outline(self, architecture: Architecture) -> dict[str, tuple[str, tuple[object, ...], torch.Size]]:
        """Of each parameter and buffer the kind of its module, the module's settings and the shape."""
        with torch.device("meta"):
            network = self.network(architecture)
        stored = network.state_dict()
        found = {}
        for path, module in network.named_modules():
            settings = tuple(getattr(module, setting, None) for setting in SETTINGS)
            for name, _ in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
                full = f"{path}.{name}".lstrip(".")
                if full in stored:
                    found[full] = type(module).__name__.removeprefix("Parametrized"), settings, stored[full].shape
        return found


def spaces() -> dict[str, Networks]:
    """Every space that some task has networks of."""
    found: dict[str, Networks] = {}
    for task in TASKS:
        for preset in task_class(task).families:
            if preset in {"cell", "macro", "parameters"}:
                continue
            spec = SearchSpace.model_validate({"preset": preset})
            kind = KINDS.get(task) or KINDS[f"{task} {preset}"]
            name = preset if preset not in found else f"{preset} of {task}"
            found[name] = Networks(name, build_space(spec), task, spec, kind)
    for name, document in {**OWN, "parameters": PARAMETERS}.items():
        spec = SearchSpace.model_validate(document)
        kind = IMAGES if name != "parameters" else IMAGES._replace(small={})
        found[name] = Networks(name, build_space(spec), "image-classification", spec, kind)
    return found


SPACES = spaces()


def rows_of(name: str) -> tuple[Row, ...]:
    return PARTS[name.partition(" of ")[0] if name not in PARTS else name]


def belongs(names: Iterable[str], rows: tuple[Row, ...], decisions: Iterable[str], column: int) -> list[str]:
    """Those of `names` that no row gives to one of `decisions`; the row's pattern of names is in `column`."""
    patterns = []
    for decision in decisions:
        for row in rows:
            if found := re.fullmatch(row[0], decision):
                groups = [group or "" for group in found.groups()]
                number = groups[0] if groups and groups[0].isdigit() else "0"
                patterns.append(row[column].format(*groups, next=int(number) + 1))
    return [name for name in names if not any(re.match(pattern, name) for pattern in patterns)]


def test_each_family_has_its_parts() -> None:
    assert {name.partition(" of ")[0] if name not in PARTS else name for name in SPACES} == set(PARTS)


@pytest.mark.parametrize("name", SPACES)
@examples(6)
@given(st.integers(0, 2**32))
def test_parameters_of_one_name_are_of_one_operation(name: str, seed: int) -> None:
    space, rng = SPACES[name], Random(seed)
    first, second = (space.outline(space.space.sample(rng)) for _ in range(2))
    for each in first.keys() & second.keys():
        (kind, settings, shape), (other_kind, other_settings, other_shape) = first[each], second[each]
        assert (kind, settings, len(shape)) == (other_kind, other_settings, len(other_shape)), each


@pytest.mark.parametrize("name", SPACES)
@examples(6)
@given(st.integers(0, 2**32))
def test_a_decision_changes_the_names_and_sizes_of_its_part_alone(name: str, seed: int) -> None:
    space, rng = SPACES[name], Random(seed)
    before = space.space.sample(rng)
    neighbours = space.space.neighbours(before)
    assume(neighbours)
    after = rng.choice(neighbours)
    changed = [each for each in space.space.decisions if before.get(each) != after.get(each)]
    first, second = space.outline(before), space.outline(after)
    assert not belongs(first.keys() ^ second.keys(), rows_of(name), changed, 1), changed
    resized = [each for each in first.keys() & second.keys() if first[each][2] != second[each][2]]
    assert not belongs(resized, rows_of(name), changed, 2), changed


def depths() -> list[tuple[str, str]]:
    """The decisions of how many there are of something, which switch on those about each."""
    return [
        (name, switch)
        for name, each in SPACES.items()
        for switch in dict.fromkeys(d.when.decision for d in each.space.decisions.values() if d.when is not None)
        # Of these an architecture of other nodes is another graph, and the bottom of a U-Net is where it ends.
        if name not in {"nasbench101", "free edges", "unet"}
        if isinstance(each.space.decisions[switch].domain.at(0), int)
        and each.space.decisions[switch].domain.size() != 1
    ]


@pytest.mark.parametrize(("name", "switch"), depths())
@examples(4)
@given(st.integers(0, 2**32))
def test_a_shallow_network_has_the_names_of_a_deep_one(name: str, switch: str, seed: int) -> None:
    space, rng = SPACES[name], Random(seed)
    domain = space.space.decisions[switch].domain
    values = sorted(int(domain.at(place)) for place in range(domain.size() or 0))
    few, many = sorted(rng.sample(values, 2))
    deep = space.space.complete({**space.space.sample(rng), switch: many}, rng)
    shallow = space.space.complete({**deep, switch: few}, rng)
    # Where a stage is gone, or ends elsewhere, the next one may need no projection.
    left = {
        each for each in space.outline(shallow).keys() - space.outline(deep).keys() if not re.search(PROJECTED, each)
    }
    assert not left


PROJECTED = r"\.shortcut\.|\.(skip|id)\.|positions\.\d+x\d+"


@pytest.mark.parametrize("name", WIDTHS)
@examples(5)
@given(st.integers(0, 2**32))
def test_a_narrow_network_is_the_first_channels_of_a_wide_one(name: str, seed: int) -> None:
    """Where the rest of the wide one's parameters is 0, it computes the same."""
    space, rng = SPACES[name], Random(seed)
    drawn = space.space.sample(rng)
    assume(not NORMALIZED & set(map(str, drawn.values())))
    widths = {each: space.space.decisions[each].domain for each in drawn if re.fullmatch(WIDTHS[name], each)}
    torch.manual_seed(seed)
    # In a detector of the small size all widths are rounded to the same.
    sizes = {"width": 0.25} if name == "detector" else {}
    narrow, wide = (
        space.network(Architecture({**drawn, **chosen}), **sizes)
        for chosen in (
            {each: domain.at(0) for each, domain in widths.items()},
            {each: domain.at((domain.size() or 1) - 1) for each, domain in widths.items()},
        )
    )
    own = narrow.state_dict()
    assert own.keys() == wide.state_dict().keys()
    with torch.no_grad():
        for each, tensor in wide.state_dict().items():
            if not each.endswith(("running_mean", "running_var", "num_batches_tracked")):
                tensor.zero_()
                tensor[tuple(slice(size) for size in own[each].shape)] = own[each]
        assert any(tensor.shape != own[each].shape for each, tensor in wide.state_dict().items())
        inputs = space.kind.inputs(3)
        torch.testing.assert_close(wide.eval()(*inputs), narrow.eval()(*inputs), rtol=1e-4, atol=1e-4)


def test_operations_of_one_edge_have_names_of_their_own() -> None:
    cell: Mapping[str, str] = {"0-1": "nor_conv_3x3", "1-2": "nor_conv_1x1", "2-3": "skip_connect"}
    space = SPACES["nasbench201"]
    names = space.outline(space.space.parse({**dict.fromkeys(["0-2", "0-3", "1-3"], "none"), **cell}))
    of_edges = {each.partition("edges.")[2].rpartition(".")[0] for each in names if "edges." in each}
    assert of_edges == {f"{edge}.{cell[edge]}.{part}" for edge in ("0-1", "1-2") for part in (1, 2)}


@pytest.mark.parametrize("cell", ["a", "b", "reduction"])
def test_every_cell_of_a_space_is_in_the_network(cell: str) -> None:
    space = SPACES["one input"]
    drawn = space.space.sample(Random(0))
    operations = {
        each: "conv_3x3" if each.startswith(f"{cell}.") else "max_pool_3x3" for each in drawn if "operation" in each
    }
    assert any("conv_3x3" in name for name in space.outline(Architecture({**drawn, **operations})))
