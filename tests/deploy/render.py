"""Writes what of `deploy/` follows from other files: ``python -m tests.deploy.render``.

These are the copies of CRDs and rules in the chart, the chart's README, and the manifests for those without Helm.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from kubenas.api import generate
from tests.cluster import programs

ROOT: Final = Path(__file__).parents[2]
CHART: Final = Path("deploy/helm/kubenas")
HEADER: Final = "# Generated from deploy/helm/kubenas by `make generate`; do not edit.\n"
NAMESPACE: Final = """\
---
apiVersion: v1
kind: Namespace
metadata:
  name: {name}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
CRD_METADATA: Final = """\
metadata:
  labels:
    {{- include "kubenas.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
"""
SAMPLE: Final = """\
# A sample for each namespace of experiments; data sets and artifacts are yours to add to egress.
#   kubectl apply --namespace TEAM -f deploy/trials/network_policy.yaml
"""
# Their kinds are the Prometheus operator's, so they are in a file of their own.
MONITORS: Final = ("podMonitor", "serviceMonitor", "rules")


def helm(*arguments: str) -> str:
    """What Helm prints.

    Raises:
        subprocess.CalledProcessError: it failed; Helm's message is in the error's notes.
    """
    command = [str(programs.helm() / "helm"), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
        error.add_note(done.stderr)
        raise error
    return done.stdout


def chart_crds() -> dict[Path, str]:
    """The CRDs as templates of the chart, so that they are upgraded with it."""
    return {
        CHART / "templates/crds" / name: (
            "{{- if .Values.crds.enabled -}}\n" + text.replace("metadata:\n", CRD_METADATA, 1) + "{{- end }}\n"
        )
        for name, text in generate.rendered().items()
    }


def chart_rules() -> str:
    """The rules, which a chart can read from its own folder only."""
    return (ROOT / "deploy/prometheus/rules.yaml").read_text()


def chart_readme() -> str:
    """The chart's README with the table of its values."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / CHART.name
        shutil.copytree(ROOT / CHART, copy)
        subprocess.run(
            [programs.helm_docs() / "helm-docs", f"--chart-search-root={folder}", "--sort-values-order=file"],
            check=True,
            capture_output=True,
        )
        return (copy / "README.md").read_text()


def manifests() -> dict[Path, str]:
    """The manifests for `kubectl apply`, as Helm renders them."""
    monitors = [f"--set=monitoring.{part}.enabled=true" for part in MONITORS]
    return {
        Path("deploy/install.yaml"): HEADER + NAMESPACE.format(name="kubenas-system") + _template("kubenas-system"),
        Path("deploy/install-namespaced.yaml"): (
            HEADER
            + NAMESPACE.format(name="kubenas")
            + _template("kubenas", "--set=watchNamespace=kubenas,crds.enabled=false")
        ),
        Path("deploy/monitoring.yaml"): (
            HEADER + _template("kubenas-system", *monitors, "--show-only=templates/monitoring/*.yaml")
        ),
        Path("deploy/trials/network_policy.yaml"): HEADER + SAMPLE + _sample(),
    }


def _sample() -> str:
    """The policy for trials, of no namespace yet."""
    namespace = "default"
    only = "--show-only=templates/trials-network-policy.yaml"
    text = _template("kubenas-system", f"--set=networkPolicy.trials.namespaces={{{namespace}}}", only)
    return text.replace(f'  namespace: "{namespace}"\n', "", 1)


def _template(namespace: str, *arguments: str) -> str:
    return helm("template", "kubenas", str(ROOT / CHART), f"--namespace={namespace}", *arguments)


def write(files: dict[Path, str]) -> None:
    """Write files, named from the repository's root."""
    for path, text in files.items():
        (ROOT / path).write_text(text)


if __name__ == "__main__":
    write(chart_crds())
    write({CHART / "files/rules.yaml": chart_rules()})
    write({CHART / "README.md": chart_readme()})
    write(manifests())
