"""`task.settings` that every task has."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

# Named, since a task with another default must repeat the type.
BatchSize: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000, description="Examples of one step on each device.")]
Optimizer: TypeAlias = Annotated[Literal["sgd", "adamw"], Field(description="sgd with Nesterov's momentum, or adamw.")]
LearningRate: TypeAlias = Annotated[float, Field(gt=0, le=1000, description="Highest learning rate.")]
WeightDecay: TypeAlias = Annotated[float, Field(ge=0, le=1, description="Weight decay.")]
Schedule: TypeAlias = Annotated[
    Literal["cosine", "linear", "constant"], Field(description="How the learning rate falls after the warm-up.")
]
Epochs: TypeAlias = Annotated[float, Field(ge=0, description="Epochs in which the learning rate rises from 0.")]
Norm: TypeAlias = Annotated[float | None, Field(gt=0, description="Largest norm of a step's gradient.")]
Share: TypeAlias = Annotated[float, Field(ge=0, lt=1, description="Share of the target spread over all classes.")]


class TrainingSettings(BaseModel):
    """How a network is trained. A task gives its own defaults, and may add settings of its own."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="forbid")

    batch_size: BatchSize = 64
    accumulate: Annotated[
        int, Field(ge=1, le=10_000, description="Batches whose gradients are averaged for one step.")
    ] = 1
    optimizer: Optimizer = "adamw"
    learning_rate: LearningRate = 1e-3
    momentum: Annotated[float, Field(ge=0, lt=1, description="Momentum of sgd, first beta of adamw.")] = 0.9
    weight_decay: WeightDecay = 0.01
    schedule: Schedule = "cosine"
    warmup_epochs: Epochs = 0.0
    clip_norm: Norm = None
    label_smoothing: Share = 0.0
    augmentation: Annotated[bool, Field(description="Whether training examples are augmented, as suits the task.")] = (
        True
    )
    split_seed: Annotated[
        int, Field(ge=0, le=2**31, description="Which split, where the data set does not come split.")
    ] = 0
    amp: Annotated[
        Literal["auto", "off", "bfloat16", "float16"],
        Field(description="Mixed precision on a GPU; auto: bfloat16 where the GPU has that, else float16."),
    ] = "auto"
    checkpoint_activations: Annotated[
        bool, Field(description="Whether layers are computed again for their gradients, which saves memory.")
    ] = False
    compile: Annotated[bool, Field(description="Whether a GPU runs what torch.compile makes of the network.")] = False
    workers: Annotated[int, Field(ge=0, le=256, description="Processes that read examples ahead.")] = 0
    memory_limit_mb: Annotated[
        int, Field(ge=1, description="Data sets that would take more are read from their files as they are needed.")
    ] = 2048
    measure: Annotated[
        tuple[Literal["latency_ms", "onnx_latency_ms", "size_mb", "int8"], ...],
        Field(description="What is measured beside the task's metrics, each a metric too."),
    ] = ()
    latency_batch_size: Annotated[int, Field(ge=1, le=65_536, description="Examples of a measured pass.")] = 1
    latency_threads: Annotated[int, Field(ge=1, le=1024, description="Threads of a measured pass on a CPU.")] = 1
    network: Annotated[dict[str, Any], Field(description="Size of what is around the searched part.")] = {}
