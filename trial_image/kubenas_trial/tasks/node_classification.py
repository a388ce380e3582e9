"""Node classification: which class each node of a graph belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kubenas_trial.datasets.data import Batch, Examples
from kubenas_trial.datasets.geometric_files import has_geometric, read_geometric
from kubenas_trial.datasets.graph_data import GraphData, GraphPreprocessing, GraphSettings
from kubenas_trial.datasets.made_graphs import karate_club, planted_partition
from kubenas_trial.datasets.planetoid import has_planetoid, read_planetoid
from kubenas_trial.networks.base import Graph
from kubenas_trial.networks.gnn import GNN
from kubenas_trial.settings import LearningRate, WeightDecay
from kubenas_trial.tasks.answers import Choice, choices
from kubenas_trial.tasks.base import BuiltIn, Format, Task, outputs_of


class NodeClassificationSettings(GraphSettings):
    """An epoch is one step on the whole graph, so some hundred of them are usual."""

    learning_rate: LearningRate = 0.01
    weight_decay: WeightDecay = 0.5


class NodeClassification(Task[NodeClassificationSettings, GraphData]):
    """Which class each node belongs to, from its features and its neighbours'.

    A network always sees the whole graph (Kipf and Welling, ICLR 2017); the splits are of the classes that are known.
    """

    name = "node-classification"
    summary = "which class each node of a graph belongs to"
    metric = "accuracy"
    preset = "gnn"
    epochs = 100
    settings_model = NodeClassificationSettings
    preprocessing_model = GraphPreprocessing
    families: ClassVar = {"gnn": GNN}
    imported_late = ("torch_geometric.nn",)
    built_in: ClassVar = {
        "planted-partition": BuiltIn("a made graph of 1,000 nodes in five classes", planted_partition),
        "karate-club": BuiltIn("Zachary's karate club: 34 nodes in four communities", karate_club),
    }
    formats: ClassVar = {
        "planetoid": Format(
            "Planetoid's raw files: ind.NAME.x, tx, allx, y, ty, ally, graph and test.index, with the public split",
            has_planetoid,
            read_planetoid,
        ),
        "torch-geometric": Format(
            "a graph stored by torch-geometric: a .pt file, or a data set's folder with processed/*.pt",
            has_geometric,
            read_geometric,
        ),
    }

    @property
    def preprocessing(self) -> GraphPreprocessing:
        """Of a graph as features (nodes, features) and edges (2, edges)."""
        return self.data.preprocessing

    @classmethod
    def predict(
        cls, network: nn.Module, preprocessing: GraphPreprocessing, raw: Sequence[tuple[Tensor, Tensor]]
    ) -> list[list[Choice]]:
        """The most probable class of each node of each graph."""
        outputs = (outputs_of(network, preprocessing.inputs([graph])) for graph in raw)
        return [choices(logits, preprocessing.classes) for logits in outputs]

    @property
    def interface(self) -> Graph:
        """Features and classes of a node."""
        return Graph(self.data.features, len(self.data.classes))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy over the training nodes, with label smoothing."""
        labels, members = batch.targets
        return cross_entropy(network(*batch.inputs)[members], labels, label_smoothing=self.settings.label_smoothing)

    def evaluate(self, network: nn.Module, examples: Examples) -> dict[str, float]:
        """Accuracy and mean cross-entropy."""
        [batch] = self.batches(examples)
        labels, members = batch.targets
        logits = network(*batch.inputs)[members].float()
        right = (logits.argmax(1) == labels).float().mean()
        return {"accuracy": float(right), "loss": float(cross_entropy(logits, labels))}
