"""The proxies by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from kubenas.api.metric_names import expanded_proxies
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.proxies.base import Proxy

GROUP: Final = "kubenas.proxies"
# Class of each, in the module of its name, with _ for -.
PROXIES: Final[Mapping[str, str]] = {
    "params": "Params",
    "flops": "Flops",
    "trainable-layers": "TrainableLayers",
    "l2_norm": "L2Norm",
    "plain": "Plain",
    "grad_norm": "GradNorm",
    "snip": "Snip",
    "grasp": "Grasp",
    "synflow": "Synflow",
    "fisher": "Fisher",
    "jacob_cov": "JacobCov",
    "nwot": "Nwot",
    "epe_nas": "EpeNas",
    "zen": "Zen",
    "zico": "Zico",
    "meco": "Meco",
    "swap": "Swap",
    "az-nas": "AzNas",
    "vkdnw": "Vkdnw",
    "decoder-params": "DecoderParams",
    "synaptic-diversity": "SynapticDiversity",
    "synaptic-saliency": "SynapticSaliency",
    "tf-tas": "TFTAS",
    "head-confidence": "HeadConfidence",
}


def load_proxies(names: Iterable[str]) -> list[Proxy]:
    """The proxies called `names`, each once; - and _ are one, and `default` stands for those of `DEFAULT_PROXIES`.

    A package adds its own by an entry point of the group `kubenas.proxies`: the proxy's name, and its class.

    Raises:
        InvalidTrialError: there is none of a name.
    """
    return [_load(name) for name in expanded_proxies(names)]


def _load(name: str) -> Proxy:
    if name in PROXIES:
        module = import_module(f"kubenas_trial.proxies.{_plain(name)}")
        proxy: Proxy = getattr(module, PROXIES[name])()
        return proxy
    others = {_plain(point.name): point for point in entry_points(group=GROUP)}
    if point := others.get(_plain(name)):
        made: Proxy = point.load()()
        return made
    known = ", ".join(["default", *PROXIES, *sorted(point.name for point in others.values())])
    raise InvalidTrialError(f"evaluation.proxies: {name!r} is unknown to this trainer; choose of {known}")


def _plain(name: str) -> str:
    return name.replace("-", "_")
