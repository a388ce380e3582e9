"""A valid experiment, and every way to write a wrong one that the apiserver must refuse."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

VALID: Final[dict[str, Any]] = {
    "apiVersion": "kubenas.io/v1alpha1",
    "kind": "NASExperiment",
    "metadata": {"name": "digits"},
    "spec": {
        "objectives": [{"metric": "accuracy", "target": 0.99}, {"metric": "latency_ms", "goal": "minimize"}],
        "task": {
            "name": "image-classification",
            "dataset": {"name": "digits"},
            "settings": {"measure": ["latency_ms"]},
        },
        "searchSpace": {
            "parameters": [
                {"name": "activation", "type": "choice", "values": ["relu", "gelu"]},
                {"name": "depth", "type": "int", "min": 1, "max": 8},
                {"name": "width", "type": "float", "min": 0.25, "max": 4, "scale": "log"},
            ]
        },
        "stages": [
            {"name": "search", "evaluation": {"epochs": 4}, "keep": {"top": 3}},
            {"name": "final", "evaluation": {"epochs": 40, "seeds": 3}},
        ],
    },
}

ABSENT: Final = object()


def changed(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The valid experiment with another value at each dotted path; `ABSENT` removes what is there."""
    document = copy.deepcopy(VALID)
    for path, value in changes:
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        target: Any = document
        for part in parents:
            target = target.setdefault(part, {}) if isinstance(target, dict) else target[part]
        if value is ABSENT:
            del target[last]
        else:
            target[last] = value
    return document


@dataclass(frozen=True)
class Wrong:
    """A wrong value, the field that must be named, and words of the apiserver's message."""

    what: str
    path: str
    value: Any
    field: str
    says: str

    @property
    def document(self) -> dict[str, Any]:
        return changed((self.path, self.value))


OBJECTIVE, SPACE, TRIALS = "spec.objectives", "spec.searchSpace", "spec.trials"
CHOICE, INT, FLOAT = f"{SPACE}.parameters[0]", f"{SPACE}.parameters[1]", f"{SPACE}.parameters[2]"


def _parameters(count: int) -> list[dict[str, Any]]:
    return [{"name": f"p{n}", "type": "int", "min": 0, "max": 1} for n in range(count)]


_COST: Final = f"{SPACE}.costs[0].terms[0].values[0]"


def _costs(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "ms", "terms": [{"parameter": "activation", "values": [value]}]}]


WRONG: Final = [
    Wrong("kind of another case", "kind", "NasExperiment", "kind", "no matches for kind"),
    Wrong("unknown version", "apiVersion", "kubenas.io/v1", "apiVersion", "no matches for kind"),
    Wrong("long name", "metadata.name", "a" * 53, "metadata.name", "at most 52"),
    Wrong("dotted name", "metadata.name", "digits.v2", "metadata.name", "lower case letters, digits and hyphens"),
    Wrong("no spec", "spec", ABSENT, "spec", "Required value"),
    Wrong("unknown field", "spec.goal", "max", "spec.goal", "unknown field"),
    # objectives
    Wrong("no objectives", "spec.objectives", ABSENT, OBJECTIVE, "Required value"),
    Wrong("empty objectives", "spec.objectives", [], OBJECTIVE, "at least 1 items"),
    Wrong("9 objectives", "spec.objectives", [{"metric": f"m{n}"} for n in range(9)], OBJECTIVE, "at most 8 items"),
    Wrong("objectives no list", "spec.objectives", "accuracy", OBJECTIVE, "must be of type array"),
    Wrong("metric twice", "spec.objectives.1.metric", "accuracy", f"{OBJECTIVE}[1]", "Duplicate value"),
    Wrong("no metric", "spec.objectives.0.metric", ABSENT, f"{OBJECTIVE}[0].metric", "Required value"),
    Wrong("empty metric", "spec.objectives.0.metric", "", f"{OBJECTIVE}[0].metric", "at least 1 char"),
    Wrong("metric with a space", "spec.objectives.0.metric", "top 1", f"{OBJECTIVE}[0].metric", "should match"),
    Wrong("long metric", "spec.objectives.0.metric", "m" * 64, f"{OBJECTIVE}[0].metric", "more than 63"),
    Wrong("metric no text", "spec.objectives.0.metric", 1, f"{OBJECTIVE}[0].metric", "must be of type string"),
    Wrong("test metric", "spec.objectives.0.metric", "test_accuracy", f"{OBJECTIVE}[0].metric", "test split"),
    Wrong("unknown goal", "spec.objectives.0.goal", "max", f"{OBJECTIVE}[0].goal", 'supported values: "maximize"'),
    Wrong("target no number", "spec.objectives.0.target", "0.9", f"{OBJECTIVE}[0].target", "must be of type number"),
    Wrong("target below limit", "spec.objectives.0.limit", 0.995, f"{OBJECTIVE}[0].target", "outside limit"),
    Wrong(
        "target above limit",
        "spec.objectives.1",
        {"metric": "latency_ms", "goal": "minimize", "target": 20, "limit": 10},
        f"{OBJECTIVE}[1].target",
        "outside limit",
    ),
    Wrong("unknown in objective", "spec.objectives.0.weight", 1, f"{OBJECTIVE}[0].weight", "unknown field"),
    # task
    Wrong("no task", "spec.task", ABSENT, "spec.task", "Required value"),
    Wrong("task no object", "spec.task", "image-classification", "spec.task", "must be of type object"),
    Wrong("no task name", "spec.task.name", ABSENT, "spec.task.name", "Required value"),
    Wrong("upper-case task", "spec.task.name", "ImageNet", "spec.task.name", "should match"),
    Wrong("dataset of nothing", "spec.task.dataset", {}, "spec.task.dataset", "needs exactly one of name and path"),
    Wrong("empty dataset name", "spec.task.dataset.name", "", "spec.task.dataset.name", "at least 1 char"),
    Wrong("long dataset name", "spec.task.dataset.name", "d" * 254, "spec.task.dataset.name", "more than 253"),
    Wrong("task settings no object", "spec.task.settings", [64], "spec.task.settings", "must be of type object"),
    Wrong("unknown in task", "spec.task.batchSize", 64, "spec.task.batchSize", "unknown field"),
    # search space
    Wrong("no space", SPACE, ABSENT, SPACE, "Required value"),
    Wrong("empty space", SPACE, {}, SPACE, "exactly one of preset, parameters, cell and macro"),
    Wrong("two spaces", f"{SPACE}.preset", "nasbench201", SPACE, "exactly one of preset, parameters, cell and macro"),
    Wrong("unknown preset", SPACE, {"preset": "nasbench"}, f"{SPACE}.preset", 'supported values: "nasbench201"'),
    Wrong("no parameters", f"{SPACE}.parameters", [], f"{SPACE}.parameters", "at least 1 items"),
    Wrong("129 parameters", f"{SPACE}.parameters", _parameters(129), f"{SPACE}.parameters", "at most 128 items"),
    Wrong("parameter twice", f"{SPACE}.parameters.1.name", "activation", INT, "Duplicate value"),
    Wrong("no parameter name", f"{SPACE}.parameters.0.name", ABSENT, f"{CHOICE}.name", "Required value"),
    Wrong("parameter name 1st", f"{SPACE}.parameters.0.name", "1st", f"{CHOICE}.name", "should match"),
    Wrong("long parameter name", f"{SPACE}.parameters.0.name", "n" * 64, f"{CHOICE}.name", "more than 63"),
    Wrong("no parameter type", f"{SPACE}.parameters.0.type", ABSENT, f"{CHOICE}.type", "Required value"),
    Wrong("parameter type bool", f"{SPACE}.parameters.0.type", "bool", f"{CHOICE}.type", "supported values"),
    Wrong("choice of nothing", f"{SPACE}.parameters.0.values", ABSENT, f"{CHOICE}.values", "a choice needs values"),
    Wrong("choice of no values", f"{SPACE}.parameters.0.values", [], f"{CHOICE}.values", "at least 1 items"),
    Wrong("value twice", f"{SPACE}.parameters.0.values", ["a", "b", "a"], f"{CHOICE}.values[2]", "Duplicate value"),
    Wrong("value no text", f"{SPACE}.parameters.0.values", ["a", 1], f"{CHOICE}.values[1]", "must be of type string"),
    Wrong("empty value", f"{SPACE}.parameters.0.values", ["a", ""], f"{CHOICE}.values[1]", "at least 1 char"),
    Wrong("long value", f"{SPACE}.parameters.0.values", ["v" * 254], f"{CHOICE}.values[0]", "more than 253"),
    Wrong(
        "257 values",
        f"{SPACE}.parameters.0.values",
        [str(n) for n in range(257)],
        f"{CHOICE}.values",
        "at most 256 items",
    ),
    Wrong("choice with min", f"{SPACE}.parameters.0.min", 1, f"{CHOICE}.min", "only an int or float has min"),
    Wrong("choice with max", f"{SPACE}.parameters.0.max", 1, f"{CHOICE}.max", "only an int or float has max"),
    Wrong("choice on a log scale", f"{SPACE}.parameters.0.scale", "log", f"{CHOICE}.scale", "has a log scale"),
    Wrong("int without min", f"{SPACE}.parameters.1.min", ABSENT, f"{INT}.min", "needs min and max"),
    Wrong("int without max", f"{SPACE}.parameters.1.max", ABSENT, f"{INT}.max", "needs min and max"),
    Wrong(
        "int with values",
        f"{SPACE}.parameters.1.values",
        ["1"],
        f"{INT}.values",
        "only a choice or an ordinal has values",
    ),
    Wrong("int from 1.5", f"{SPACE}.parameters.1.min", 1.5, f"{INT}.min", "whole number"),
    Wrong("int to 8.5", f"{SPACE}.parameters.1.max", 8.5, f"{INT}.max", "whole number"),
    Wrong("int upside down", f"{SPACE}.parameters.1.min", 9, f"{INT}.min", "greater than max"),
    Wrong("log scale from 0", f"{SPACE}.parameters.2.min", 0, f"{FLOAT}.min", "min above 0"),
    Wrong("unknown scale", f"{SPACE}.parameters.2.scale", "ln", f"{FLOAT}.scale", "supported values"),
    Wrong("min no number", f"{SPACE}.parameters.2.min", "0.1", f"{FLOAT}.min", "must be of type number"),
    Wrong("choice with numbers", f"{SPACE}.parameters.0.numbers", [1], f"{CHOICE}.numbers", "only an ordinal"),
    Wrong("ordinal of nothing", f"{SPACE}.parameters.0", {"name": "k", "type": "ordinal"}, CHOICE, "values or numbers"),
    Wrong("when without a test", f"{SPACE}.parameters.1.when", {"parameter": "a"}, f"{INT}.when", "values or min"),
    Wrong("repeat of nothing", f"{SPACE}.parameters.1.repeat", {}, f"{INT}.repeat", "times or count"),
    Wrong("repeat never", f"{SPACE}.parameters.1.repeat", {"times": 0}, f"{INT}.repeat.times", "greater than or equal"),
    Wrong("macro of no stage", SPACE, {"macro": {"stages": []}}, f"{SPACE}.macro.stages", "at least 1 items"),
    Wrong("17 constraints", f"{SPACE}.constraints", ["true"] * 17, f"{SPACE}.constraints", "at most 16 items"),
    Wrong("cost without terms", f"{SPACE}.costs", [{"name": "ms"}], f"{SPACE}.costs[0].terms", "Required value"),
    Wrong("cost of no value", f"{SPACE}.costs", _costs({"add": 1}), _COST, "needs either value or number"),
    Wrong(
        "cost of two values",
        f"{SPACE}.costs",
        _costs({"value": "a", "number": 1, "add": 1}),
        _COST,
        "needs either value or number",
    ),
    Wrong("cost of nothing", f"{SPACE}.costs", _costs({"value": "a"}), f"{_COST}.add", "Required value"),
    Wrong(
        "cost twice",
        f"{SPACE}.costs",
        _costs({"value": "a", "add": 1}) * 2,
        f"{SPACE}.costs[1]",
        "Duplicate value",
    ),
    Wrong("huge max", f"{SPACE}.parameters.2.max", 1e16, f"{FLOAT}.max", "less than or equal to 1000000000000000"),
    # search, evaluation
    Wrong("unknown algorithm", "spec.search.algorithm", "bayes", "spec.search.algorithm", "supported values"),
    Wrong("negative seed", "spec.search.seed", -1, "spec.search.seed", "greater than or equal to 0"),
    Wrong("seed beyond a double", "spec.search.seed", 2**53, "spec.search.seed", "less than or equal to"),
    Wrong("seed no number", "spec.search.seed", "1", "spec.search.seed", "must be of type integer"),
    Wrong("settings no object", "spec.search.settings", "fast", "spec.search.settings", "must be of type object"),
    Wrong("setting beside settings", "spec.search.populationSize", 9, "spec.search.populationSize", "unknown field"),
    Wrong("unknown method", "spec.evaluation.method", "guess", "spec.evaluation.method", "supported values"),
    Wrong("no epochs", "spec.evaluation.epochs", 0, "spec.evaluation.epochs", "greater than or equal to 1"),
    Wrong("half an epoch", "spec.evaluation.epochs", 1.5, "spec.evaluation.epochs", "must be of type integer"),
    *(
        Wrong(
            f"{field} of {method}",
            "spec.evaluation",
            {"method": method, field: value},
            f"spec.evaluation.{field}",
            f"is of method {right} only",
        )
        for method, field, value, right in (
            ("zero-cost", "epochs", 3, "train or supernet or differentiable"),
            ("supernet", "seeds", 2, "train or zero-cost"),
            ("supernet", "inherit", True, "train"),
            ("train", "proxies", ["synflow"], "zero-cost"),
            ("supernet", "combine", "vote", "zero-cost"),
            ("differentiable", "input", "data", "zero-cost"),
            ("differentiable", "rule", "sandwich", "supernet"),
            ("train", "complexityAwareRate", False, "supernet"),
            ("supernet", "sampler", "gdas", "differentiable"),
            ("train", "order", "first", "differentiable"),
            ("train", "perturbation", "none", "differentiable"),
            ("train", "partialChannels", 4, "differentiable"),
            ("zero-cost", "betaDecay", 0.5, "differentiable"),
            ("zero-cost", "flopsPenalty", 0.5, "differentiable"),
            ("train", "pruning", True, "differentiable"),
        )
    ),
    Wrong(
        "proxy twice",
        "spec.evaluation",
        {"method": "zero-cost", "proxies": ["zen", "zen"]},
        "spec.evaluation.proxies[1]",
        "Duplicate value",
    ),
    Wrong(
        "no proxy",
        "spec.evaluation",
        {"method": "zero-cost", "proxies": []},
        "spec.evaluation.proxies",
        "at least 1 items",
    ),
    # fidelity
    Wrong("unknown scheduler", "spec.fidelity.scheduler", "sha", "spec.fidelity.scheduler", "supported values"),
    Wrong(
        "chance of 1",
        "spec.fidelity",
        {"scheduler": "extrapolation", "chance": 1},
        "spec.fidelity.chance",
        "less than or equal to",
    ),
    Wrong(
        "eta of 1", "spec.fidelity", {"scheduler": "asha", "eta": 1}, "spec.fidelity.eta", "greater than or equal to"
    ),
    *(
        Wrong(
            f"{field} of {scheduler}",
            "spec.fidelity",
            {"scheduler": scheduler, field: "promotion" if field == "mode" else 5},
            f"spec.fidelity.{field}",
            f"is of scheduler {right} only",
        )
        for scheduler, field, right in (
            ("none", "minEpochs", "asha or pasha or hyperband or median or patience or extrapolation or one-epoch"),
            ("median", "eta", "asha or pasha or hyperband"),
            ("asha", "minResults", "median or extrapolation"),
            ("asha", "patience", "patience"),
            ("hyperband", "mode", "asha"),
            ("median", "top", "asha or pasha or one-epoch"),
        )
    ),
    # stages
    Wrong("stage without keep", "spec.stages.0.keep", ABSENT, "spec.stages", "the next stage has no search of its own"),
    Wrong("last stage with keep", "spec.stages.1.keep", {"top": 1}, "spec.stages", "no meaning in the last stage"),
    Wrong("keep of none", "spec.stages.0.keep.top", 0, "spec.stages[0].keep.top", "greater than or equal to 1"),
    Wrong("keep of two kinds", "spec.stages.0.keep", {"top": 1, "front": True, "max": 2}, "spec.stages[0].keep", "one"),
    Wrong("keep of no kind", "spec.stages.0.keep", {}, "spec.stages[0].keep", "exactly one of top and front"),
    Wrong("front without max", "spec.stages.0.keep", {"front": True}, "spec.stages[0].keep", "go together"),
    Wrong("max without front", "spec.stages.0.keep.max", 2, "spec.stages[0].keep", "go together"),
    Wrong("front that is none", "spec.stages.0.keep", {"front": False, "max": 2}, "spec.stages[0].keep", "exactly one"),
    Wrong("trials of what is taken", "spec.stages.1.trials", {"max": 5}, "spec.stages", "takes what was kept before"),
    Wrong("seeds", "spec.evaluation.seeds", 0, "spec.evaluation.seeds", "greater than or equal to 1"),
    Wrong("stage twice", "spec.stages.1.name", "search", "spec.stages[1]", "Duplicate value"),
    Wrong("stage name", "spec.stages.0.name", "Search", "spec.stages[0].name", "should match"),
    Wrong("epochs beside evaluation", "spec.stages.0.epochs", 3, "spec.stages[0].epochs", "unknown field"),
    Wrong(
        "9 stages",
        "spec.stages",
        [{"name": f"s{n}", **({"keep": {"top": 1}} if n < 8 else {})} for n in range(9)],
        "spec.stages",
        "at most 8 items",
    ),
    # trials
    Wrong("no trials", "spec.trials.max", 0, f"{TRIALS}.max", "greater than or equal to 1"),
    Wrong("too many trials", "spec.trials.max", 100_001, f"{TRIALS}.max", "less than or equal to 100000"),
    Wrong("trials no number", "spec.trials.max", "8", f"{TRIALS}.max", "must be of type integer"),
    Wrong("negative parallelism", "spec.trials.parallelism", -1, f"{TRIALS}.parallelism", "greater than or equal to 0"),
    Wrong("huge parallelism", "spec.trials.parallelism", 10_001, f"{TRIALS}.parallelism", "less than or equal to"),
    Wrong("negative maxFailures", "spec.trials.maxFailures", -1, f"{TRIALS}.maxFailures", "greater than or equal to 0"),
    Wrong("101 retries", "spec.trials.retries", 101, f"{TRIALS}.retries", "less than or equal to 100"),
    Wrong("timeout of 0s", "spec.trials.timeout", "0s", f"{TRIALS}.timeout", "write for example 90s"),
    Wrong("timeout in words", "spec.trials.timeout", "2 hours", f"{TRIALS}.timeout", "should match"),
    Wrong("timeout no text", "spec.trials.timeout", 7200, f"{TRIALS}.timeout", "must be of type string"),
    Wrong(
        "1,025 candidates",
        "spec.trials.candidatesPerTrial",
        1025,
        f"{TRIALS}.candidatesPerTrial",
        "less than or equal to 1024",
    ),
    Wrong("parallelism misspelt", "spec.trials.paralellism", 2, f"{TRIALS}.paralellism", "unknown field"),
    # budget, metrics, storage
    Wrong("no gpuHours", "spec.budget.gpuHours", 0, "spec.budget.gpuHours", "greater than 0"),
    Wrong("free", "spec.budget.cost", 0, "spec.budget.cost", "greater than 0"),
    Wrong("cost without prices", "spec.budget.cost", 100, "spec.budget.prices", "must have a price for the priceClass"),
    Wrong(
        "negative price",
        "spec.budget.prices",
        {"default": -1},
        "spec.budget.prices.default",
        "greater than or equal to 0",
    ),
    Wrong("price of another class", "spec.budget.prices", {"spot": 1}, "spec.budget.prices", "must have a price for"),
    Wrong("wallClock in days", "spec.budget.wallClock", "1d", "spec.budget.wallClock", "should match"),
    Wrong("unknown source", "spec.metrics.source", "StdOut", "spec.metrics.source", "supported values"),
    Wrong("interval of 0s", "spec.metrics.interval", "0m0s", "spec.metrics.interval", "write for example 90s"),
    Wrong("no storage", "spec.storage", {}, "spec.storage", "must have either volumeClaim or url"),
    Wrong(
        "two storages",
        "spec.storage",
        {"volumeClaim": "artifacts", "url": "s3://artifacts"},
        "spec.storage",
        "must have either volumeClaim or url",
    ),
    Wrong(
        "credentials for a claim",
        "spec.storage",
        {"volumeClaim": "artifacts", "secret": "bucket"},
        "spec.storage.secret",
        "has no meaning without url",
    ),
    *(
        Wrong(
            what, "spec.storage", {"url": url}, "spec.storage.url", "must be s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"
        )
        for what, url in (
            ("a file of the node", "file:///etc"),
            ("a file without scheme", "/etc"),
            ("memory", "memory://artifacts"),
            ("credentials in the URL", "s3://AKIA:secret@artifacts/nas"),
            ("options in the URL", "s3://artifacts/nas?endpoint=http://elsewhere"),
            ("out of the prefix", "s3://artifacts/nas/../other"),
            ("an end in a slash", "s3://artifacts/"),
            ("no bucket", "s3://"),
        )
    ),
    Wrong(
        "checkpoints always", "spec.storage.checkpointEvery", "0s", "spec.storage.checkpointEvery", "write for example"
    ),
    Wrong(
        "keep some",
        "spec.storage",
        {"volumeClaim": "artifacts", "keep": "some"},
        "spec.storage.keep",
        'supported values: "all"',
    ),
    Wrong("empty claim", "spec.storage.volumeClaim", "", "spec.storage.volumeClaim", "at least 1 char"),
    Wrong("no name of a claim", "spec.storage.volumeClaim", "My_Claim", "spec.storage.volumeClaim", "should match"),
    # trial template and the rest
    Wrong("template no object", "spec.trialTemplate", "pod.yaml", "spec.trialTemplate", "must be of type object"),
    Wrong("pod spec no object", "spec.trialTemplate.spec", [], "spec.trialTemplate.spec", "must be of type object"),
    Wrong(
        "label no text",
        "spec.trialTemplate.metadata.labels",
        {"team": 1},
        "spec.trialTemplate.metadata.labels.team",
        "must be of type string",
    ),
    Wrong(
        "label with a space",
        "spec.trialTemplate.metadata.labels",
        {"team": "a b"},
        "spec.trialTemplate.metadata.labels.team",
        "should match",
    ),
    Wrong(
        "65 annotations",
        "spec.trialTemplate.metadata.annotations",
        {f"a{n}": "" for n in range(65)},
        "spec.trialTemplate.metadata.annotations",
        "at most 64",
    ),
    Wrong(
        "alternative from the start",
        "spec.trialTemplate.alternatives",
        [{"afterDisruptions": 0}],
        "spec.trialTemplate.alternatives[0].afterDisruptions",
        "greater than or equal to 1",
    ),
    Wrong(
        "two alternatives at once",
        "spec.trialTemplate.alternatives",
        [{"afterDisruptions": 2}, {"afterDisruptions": 2, "priceClass": "on-demand"}],
        "spec.trialTemplate.alternatives[1]",
        "Duplicate value",
    ),
    Wrong(
        "alternatives of alternatives",
        "spec.trialTemplate.alternatives",
        [{"afterDisruptions": 2, "alternatives": []}],
        "spec.trialTemplate.alternatives[0].alternatives",
        "unknown field",
    ),
    Wrong("queue with a space", "spec.queueName", "the gpus", "spec.queueName", "should match"),
    Wrong(
        "queue of an alternative with a space",
        "spec.trialTemplate.alternatives",
        [{"afterDisruptions": 2, "queueName": "the gpus"}],
        "spec.trialTemplate.alternatives[0].queueName",
        "should match",
    ),
    Wrong(
        "priority without a queue",
        "spec.workloadPriorityClass",
        "high",
        "spec.workloadPriorityClass",
        "remove it, or name a queue",
    ),
    Wrong("suspend no boolean", "spec.suspend", "true", "spec.suspend", "must be of type boolean"),
    Wrong("negative ttl", "spec.ttlSecondsAfterFinished", -1, "spec.ttlSecondsAfterFinished", "greater than or equal"),
]
