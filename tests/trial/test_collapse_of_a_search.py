"""Plain DARTS collapses where it may choose skips alone, as Zela et al. (ICLR 2020) found, and that is seen."""

from __future__ import annotations

import torch

from kubenas.api.space import SearchSpace
from kubenas.api.task import Task as TaskSpec
from kubenas_trial.datasets.data import TensorExamples
from kubenas_trial.datasets.image_data import ImageData
from kubenas_trial.differentiable.choices import skip_share
from kubenas_trial.differentiable.collapse import last_good
from kubenas_trial.differentiable.search import Search
from kubenas_trial.document import Evaluation
from kubenas_trial.evaluation.epochs import seed_epoch
from kubenas_trial.tasks.load import AnyTask, load_task
from tests.trial.test_mixture import task_of

# On the edges of NAS-Bench-201.
SPACE = SearchSpace.model_validate(
    {"cell": {"nodes": 4, "operations": ["skip_connect", "conv_3x3"], "skip": "skip_connect"}}
)
EPOCHS = 20


def tones() -> AnyTask:
    """Spectra of courses of a tone as images, of which skips alone tell nothing."""
    spec = TaskSpec.model_validate({"name": "keyword-spotting", "dataset": {"name": "tones"}})
    data = load_task(spec, None, torch.device("cpu")).data
    images = task_of({"channels": 4, "cellsPerStack": 1}, augmentation=False)

    def some(examples: object, number: int) -> TensorExamples:
        batch = examples[list(range(number))]  # type: ignore[index]
        return TensorExamples(
            (torch.nn.functional.interpolate(batch.inputs[0][:, None], (12, 12), mode="bilinear"),), batch.targets
        )

    parts = (some(data.train, 320), some(data.validation, 32), some(data.test, 32))
    return type(images)(images.settings, ImageData(*parts, (1, 12, 12), data.classes), images.device)


def test_plain_darts_comes_to_choose_skips_and_goes_back_to_where_it_had_fewer() -> None:
    seed_epoch(1, "0", 0)
    search = Search(tones(), SPACE, Evaluation(method="differentiable", sampler="darts"), EPOCHS, seed=1)
    back, weights = None, list[float]()
    for epoch in range(1, EPOCHS + 1):
        search.train_epoch(epoch, seed_epoch(1, "0", epoch))
        search.examples = 0
        search.keep(search.signs(epoch))
        [cell] = search.mixture.expected()
        weights.append(float(cell[:, 0].detach().mean()))
        if (back := last_good(search.past, EPOCHS)) is not None:
            break
    assert back is not None
    assert weights[-1] > weights[0] + 0.1
    search.restore(back)
    share = skip_share(search.mixture.choices, search.mixture.derive())
    assert share == search.past[back - 1].skip_share < search.past[-1].skip_share
