"""What KubeNAS' own trainer cannot do with the networks of a preset, known without building one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubenas.api.metric_names import PROXIES

_OF_TRANSFORMERS: Final = frozenset(
    {"decoder-params", "synaptic-diversity", "synaptic-saliency", "tf-tas", "head-confidence"}
)
_OF_IMAGES: Final = frozenset({"synflow", "jacob_cov", "epe_nas", "zen", "meco"})
_OF_RELUS: Final = frozenset({"nwot", "swap"})

# Proxies that make no sense for a preset's networks.
UNFIT_PROXIES: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("nasbench201", "nasbench101", "darts", "nasbench-macro"), _OF_TRANSFORMERS),
    **dict.fromkeys(("mlp", "tcn", "rnn"), _OF_TRANSFORMERS | {"zen"}),
    # Its hard sigmoids have no second derivative.
    "mobilenet-ofa": _OF_TRANSFORMERS | {"grasp"},
    "vit": _OF_RELUS | {"zen"},
    "bert-encoder": _OF_IMAGES | _OF_RELUS,
    "transformer-decoder": _OF_IMAGES | _OF_RELUS | {"vkdnw"},
    "gnn": frozenset(PROXIES) - {"params", "flops", "trainable-layers"},
}
# Presets whose networks are made of cells, the operations of which a differentiable search mixes.
OF_CELLS: Final = frozenset({"nasbench201", "darts"})
