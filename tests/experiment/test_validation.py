from __future__ import annotations

from typing import Any

import pytest

from kubenas.api.validate import read_experiment
from kubenas.experiment.validation import resolve_spec
from tests.api.manifests import changed

POD = "spec.trialTemplate.spec"
TRAINER = f"{POD}.containers[0]"


def trainer(**fields: Any) -> tuple[str, Any]:
    return "spec.trialTemplate.spec.containers", [{"name": "trainer", **fields}]


def env(**variable: Any) -> tuple[str, Any]:
    return trainer(env=[variable])


def limits(**quantities: Any) -> tuple[str, Any]:
    return trainer(resources={"limits": quantities})


WRONG = [
    (
        "unknown setting",
        ("spec.search", {"algorithm": "regularized-evolution", "settings": {"population": 9}}),
        "spec.search.settings.population",
        "populationSize",
    ),
    (
        "setting of another algorithm",
        ("spec.search", {"algorithm": "random", "settings": {"sampleSize": 3}}),
        "spec.search.settings.sampleSize",
        "has no settings",
    ),
    (
        "setting out of range",
        ("spec.search", {"algorithm": "regularized-evolution", "settings": {"sampleSize": 0}}),
        "spec.search.settings.sampleSize",
        "not 0",
    ),
    (
        "sample above population",
        ("spec.search", {"algorithm": "regularized-evolution", "settings": {"populationSize": 5, "sampleSize": 6}}),
        "spec.search.settings.sampleSize",
        "greater than populationSize",
    ),
    ("keep above trials", ("spec.trials.max", 2), "spec.stages[0].keep.top", "more than the 2 candidates"),
    (
        "keep above the stage before",
        (
            "spec.stages",
            [{"name": f"s{n}", "keep": {"top": keep}} for n, keep in enumerate((2, 3))] + [{"name": "z"}],
        ),
        "spec.stages[1].keep.top",
        "more than the 2 candidates",
    ),
    ("label key", ("spec.trialTemplate.metadata.labels", {"a b": ""}), "labels[a b]", "no valid key"),
    ("own label", ("spec.trialTemplate.metadata.labels", {"kubenas.io/trial": "x"}), "labels[kubenas.io/trial]", "own"),
    ("own annotation", ("spec.trialTemplate.metadata.annotations", {"kubenas.io/a": ""}), "annotations[", "own"),
    (
        "queue by a label",
        ("spec.trialTemplate.metadata.labels", {"kueue.x-k8s.io/queue-name": "gpus"}),
        "spec.trialTemplate.metadata.labels[kueue.x-k8s.io/queue-name]",
        "remove it, and give spec.queueName",
    ),
    (
        "queue by a label of an alternative",
        (
            "spec.trialTemplate.alternatives",
            [{"afterDisruptions": 1, "metadata": {"labels": {"kueue.x-k8s.io/priority-class": "high"}}}],
        ),
        "spec.trialTemplate.alternatives[0].metadata.labels[kueue.x-k8s.io/priority-class]",
        "remove it, and give spec.workloadPriorityClass",
    ),
    ("restart policy", (f"{POD}.restartPolicy", "OnFailure"), f"{POD}.restartPolicy", "must be Never"),
    (
        "own label of an alternative",
        (
            "spec.trialTemplate.alternatives",
            [{"afterDisruptions": 1, "metadata": {"labels": {"kubenas.io/price-class": "free"}}}],
        ),
        "spec.trialTemplate.alternatives[0].metadata.labels[kubenas.io/price-class]",
        "own",
    ),
    (
        "restart policy of an alternative",
        ("spec.trialTemplate.alternatives", [{"afterDisruptions": 1, "spec": {"restartPolicy": "Always"}}]),
        "spec.trialTemplate.alternatives[0].spec.restartPolicy",
        "must be Never",
    ),
    (
        "trainer deleted by an alternative",
        (
            "spec.trialTemplate.alternatives",
            [{"afterDisruptions": 1, "spec": {"containers": [{"name": "trainer", "$patch": "delete"}]}}],
        ),
        "spec.trialTemplate.alternatives[0].spec.containers[0]",
        "cannot be deleted",
    ),
    ("containers no list", (f"{POD}.containers", {"trainer": {}}), f"{POD}.containers", "list of objects"),
    ("container no object", (f"{POD}.containers", ["trainer"]), TRAINER, "must be an object"),
    ("container without name", (f"{POD}.containers", [{"image": "x"}]), f"{TRAINER}.name", "is required"),
    (
        "container twice",
        (f"{POD}.containers", [{"name": "trainer"}, {"name": "trainer"}]),
        f"{POD}.containers[1].name",
        "there twice",
    ),
    ("init container without name", (f"{POD}.initContainers", [{}]), f"{POD}.initContainers[0].name", "is required"),
    ("volume without name", (f"{POD}.volumes", [{"emptyDir": {}}]), f"{POD}.volumes[0].name", "is required"),
    ("image no text", trainer(image=2.0), f"{TRAINER}.image", "quotes"),
    ("args one text", trainer(args="--epochs 3"), f"{TRAINER}.args", "list of strings"),
    ("argument no text", trainer(args=["--epochs", 3]), f"{TRAINER}.args[1]", "quotes"),
    ("env a map", trainer(env={"A": "1"}), f"{TRAINER}.env", "list of objects"),
    ("env without name", env(value="1"), f"{TRAINER}.env[0].name", "is required"),
    ("env no text", env(name="A", value=1), f"{TRAINER}.env[0].value", "quotes"),
    (
        "mount without path",
        trainer(volumeMounts=[{"name": "v"}]),
        f"{TRAINER}.volumeMounts[0].mountPath",
        "is required",
    ),
    ("resources no object", trainer(resources="4Gi"), f"{TRAINER}.resources", "limits and requests"),
    ("limits no object", trainer(resources={"limits": 4}), f"{TRAINER}.resources.limits", "must be an object"),
    ("no quantity", limits(memory="4 GB"), f"{TRAINER}.resources.limits[memory]", "no quantity"),
    ("quantity yes", limits(cpu=True), f"{TRAINER}.resources.limits[cpu]", "no quantity"),
    ("port without number", trainer(ports=[{"name": "x"}]), f"{TRAINER}.ports[0].containerPort", "as a number"),
    ("alias without ip", (f"{POD}.hostAliases", [{}]), f"{POD}.hostAliases[0].ip", "is required"),
    ("directive on the pod", (POD, {"$patch": "replace"}), POD, "put it into what is to be replaced"),
    ("unknown directive", trainer(resources={"$patch": "merge"}), f"{TRAINER}.resources.$patch", "replace or delete"),
    ("order of a list", trainer(**{"$setElementOrder/env": []}), "$setElementOrder/env", "is no directive"),
    ("retained keys", trainer(resources={"$retainKeys": ["a"], "limits": {}}), "$retainKeys", "all those beside it"),
    ("replaces with a name", env(**{"name": "A", "$patch": "replace"}), f"{TRAINER}.env[0]", "nothing beside $patch"),
    ("deletes nothing", env(**{"$patch": "delete"}), f"{TRAINER}.env[0].name", "is required"),
    ("trainer deleted", trainer(**{"$patch": "delete"}), TRAINER, "cannot be deleted"),
    (
        "containers without trainer",
        (f"{POD}.containers", [{"$patch": "replace"}, {"name": "other"}]),
        f"{POD}.containers",
        "name one of them trainer",
    ),
    (
        "17 trained in a pod",
        ("spec.trials.candidatesPerTrial", 17),
        "spec.trials.candidatesPerTrial",
        "more than the 16",
    ),
    (
        "17 trained in a pod of one stage",
        ("spec.stages.1.trials", {"candidatesPerTrial": 17}),
        "spec.stages[1].trials.candidatesPerTrial",
        "more than the 16 of a trial of stage final with evaluation.method train",
    ),
    ("placeholder", trainer(args=["$(kubenas.deepth)"]), f"{TRAINER}.args[0]", "activation, depth, width"),
    ("placeholder misspelt", env(name="A", value="x$(kubenas. depth)"), f"{TRAINER}.env[0].value", "names no decision"),
]


@pytest.mark.parametrize(("change", "field", "says"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_wrong(change: tuple[str, Any], field: str, says: str) -> None:
    (problem,) = resolve_spec(read_experiment(changed(change)).spec).problems
    assert field in problem.field
    assert problem.field.startswith("spec.")
    assert says in problem.message


def test_a_placeholder_needs_one_candidate_a_trial() -> None:
    document = changed(trainer(args=["$(kubenas.depth)"]), ("spec.trials.candidatesPerTrial", 2))
    (problem,) = resolve_spec(read_experiment(document).spec).problems
    assert (problem.field, "candidatesPerTrial" in problem.message) == (f"{TRAINER}.args[0]", True)


def test_all_problems_are_told() -> None:
    document = changed(
        ("spec.trials.max", 1),
        ("spec.search", {"algorithm": "regularized-evolution", "settings": {"a": 1}}),
        env(name="A", value=1),
    )
    assert [problem.field for problem in resolve_spec(read_experiment(document).spec).problems] == [
        "spec.stages[0].keep.top",
        f"{TRAINER}.env[0].value",
        "spec.search.settings.a",
    ]


RIGHT = [
    ("as it is", ("spec.suspend", True)),
    ("parallelism above max", ("spec.trials", {"max": 3, "parallelism": 100})),
    ("more candidates than trials", ("spec.trials", {"max": 1, "candidatesPerTrial": 3})),
    (
        "settings",
        ("spec.search", {"algorithm": "regularized-evolution", "settings": {"populationSize": 20, "sampleSize": 5}}),
    ),
    ("placeholder", trainer(args=["--depth=$(kubenas.depth)", "$(NODE_NAME)", "$$(kubenas)"])),
    ("quantities", limits(cpu=2, memory="4Gi", **{"nvidia.com/gpu": "1", "ephemeral-storage": "1.5G", "a": 0.5})),
    ("replaced env", trainer(env=[{"$patch": "replace"}, {"name": "A", "value": "1"}])),
    ("deleted variable", env(**{"name": "HOME", "$patch": "delete"})),
    ("replaced containers", (f"{POD}.containers", [{"$patch": "replace"}, {"name": "trainer", "image": "x"}])),
    ("replaced volumes", (f"{POD}.volumes", [{"name": "v", "emptyDir": {}}, {"$patch": "replace"}])),
    ("other volume", (f"{POD}.volumes", [{"$retainKeys": ["name", "nfs"], "name": "checkpoints", "nfs": {}}])),
    ("nothing instead of volumes", (f"{POD}.volumes", None)),
    ("label", ("spec.trialTemplate.metadata.labels", {"example.com/team": "vision", "team": ""})),
    ("other pod fields", ("spec.trialTemplate.spec", {"tolerations": [{"operator": "Exists"}], "volumes": []})),
]


@pytest.mark.parametrize("change", [case[1] for case in RIGHT], ids=[case[0] for case in RIGHT])
def test_right(change: tuple[str, Any]) -> None:
    assert resolve_spec(read_experiment(changed(change)).spec).problems == ()


def test_the_preset_s_edges_are_its_decisions() -> None:
    document = changed(("spec.searchSpace", {"preset": "nasbench201"}), trainer(args=["$(kubenas.depth)"]))
    (problem,) = resolve_spec(read_experiment(document).spec).problems
    assert "names no decision of the search space" in problem.message
