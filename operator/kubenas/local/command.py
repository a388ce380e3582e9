"""What a trial's process is started with, where a pod's container would be."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kubenas.api.experiment import ExperimentSpec
from kubenas.api.trial import Candidate
from kubenas.experiment.contract import TRAINER, TRIAL_VARIABLE, escaped, evaluation_document
from kubenas.experiment.merge import merged
from kubenas.experiment.placeholders import substitute
from kubenas.experiment.stages import ResolvedStage
from kubenas.local.contract import VARIABLES

OWN_TRAINER: Final = (sys.executable, "-m", "kubenas_trial")
# `$(NAME)` as the kubelet expands it, and `$$`, which stands for one `$`.
_REFERENCE: Final = re.compile(r"\$(?:\$|\(([A-Za-z_][A-Za-z0-9_]*)\))")


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its arguments and its environment.

    `imported_with` is what of the environment all trials have, where the program is KubeNAS' own trainer; else None.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    imported_with: Mapping[str, str] | None = None


def uses_own_trainer(spec: ExperimentSpec) -> bool:
    """Whether trials run `kubenas_trial`, and not a trainer of the user's."""
    return not _trainer(spec).get("command")


def trial_command(
    spec: ExperimentSpec, candidates: Sequence[Candidate], contract: Mapping[str, str], inherited: Mapping[str, str]
) -> Command:
    """The command of a trial: that of the template's container `trainer`, else KubeNAS' own trainer.

    Args:
        contract: variables that the trial's contract gives.
        inherited: the environment of the run.
    """
    trainer = substitute(_trainer(spec, contract), candidates)
    environment = dict(inherited)
    # As if its virtual environment were active, so that `python` is the one that KubeNAS is installed for.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}"
    environment.setdefault("OMP_NUM_THREADS", str(threads(spec.trials.most_at_once)))
    declared: dict[str, str] = {}
    for variable in trainer.get("env", ()):
        if "value" in variable:
            declared[variable["name"]] = _expanded(variable["value"], declared)
    arguments = [*(trainer.get("command") or OWN_TRAINER), *trainer.get("args", ())]
    whole = environment | declared
    common = None if trainer.get("command") else {name: whole[name] for name in whole.keys() - contract.keys()}
    return Command(tuple(_expanded(argument, declared) for argument in arguments), whole, common)


def import_command(spec: ExperimentSpec, stage: ResolvedStage, inherited: Mapping[str, str]) -> Command | None:
    """What imports all that the trials of `stage` will, before one is proposed.

    Args:
        inherited: the environment of the run.

    Returns:
        None where trials run a trainer of the user's, or where each has an environment of its own: one that depends on
        what is proposed, or on the trial's contract.
    """
    unknown = [Candidate(id="0")]
    variables = _trainer(spec).get("env", [])
    if not uses_own_trainer(spec) or substitute(variables, unknown) != variables:
        return None
    contract = {**dict.fromkeys(VARIABLES, ""), TRIAL_VARIABLE: json.dumps(evaluation_document(spec, stage))}
    ahead = trial_command(spec, unknown, contract, inherited)
    other = trial_command(spec, unknown, dict.fromkeys(VARIABLES, "-"), inherited)
    return ahead if ahead.imported_with == other.imported_with else None


def threads(parallelism: int) -> int:
    """Threads for each of `parallelism` trials, so that together they fill the CPUs of this process."""
    return max(1, len(os.sched_getaffinity(0)) // max(1, parallelism))


def not_used(spec: ExperimentSpec) -> list[str]:
    """Paths of the fields that mean something on a cluster only."""
    paths = [f"trialTemplate.metadata.{name}" for name in sorted(spec.trial_template.metadata.model_fields_set)]
    for field, value in spec.trial_template.spec.items():
        path = f"trialTemplate.spec.{field}"
        if field != "containers":
            paths.append(path)
            continue
        for index, container in enumerate(value):
            if container.get("name") != TRAINER:
                paths.append(f"{path}[{index}]")
                continue
            unused = container.keys() - {"name", "command", "args", "env"}
            paths += [f"{path}[{index}].{name}" for name in sorted(unused)]
            paths += [
                f"{path}[{index}].env[{variable['name']}].valueFrom"
                for variable in container.get("env", ())
                if "valueFrom" in variable
            ]
    if spec.trial_template.alternatives:
        paths.append("trialTemplate.alternatives")
    storage = spec.storage
    others = {
        "budget.gpuHours": spec.budget.gpu_hours,
        "budget.cost": spec.budget.cost,
        "budget.prices": spec.budget.prices or None,
        "storage.volumeClaim": storage and storage.volume_claim,
        "storage.url": storage and storage.url,
        "storage.secret": storage and storage.secret,
        "queueName": spec.queue_name,
        "workloadPriorityClass": spec.workload_priority_class,
        "ttlSecondsAfterFinished": spec.ttl_seconds_after_finished,
    }
    return paths + [path for path, value in others.items() if value is not None]


def _trainer(spec: ExperimentSpec, contract: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The container `trainer` as a pod would have it, with the contract's variables before its own."""
    # What the contract says is meant as it is.
    variables = [{"name": name, "value": escaped(value)} for name, value in (contract or {}).items()]
    base = {"containers": [{"name": TRAINER, "env": variables}]}
    patch = {key: value for key, value in spec.trial_template.spec.items() if key == "containers"}
    containers = merged(base, patch).get("containers", ())
    return next((container for container in containers if container["name"] == TRAINER), {})


def _expanded(text: str, declared: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: "$" if match[1] is None else declared.get(match[1], match[0]), text)
