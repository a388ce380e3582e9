"""The reasons that KubeNAS gives by itself: the words that a metric's label may hold, and that a page can explain.

Others come from trainers and from the apiserver, in any number; `bounded` makes one word of them all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

OTHER: Final = "Other"

# Why an attempt has failed.
FAILURES: Final = frozenset(
    {
        "ContainerNotStarted",
        "Evicted",
        "ImagePullFailed",
        "InitContainerFailed",
        "InvalidDataset",
        "InvalidResult",
        "InvalidTrial",
        "MetricMissing",
        "NoResult",
        "NonFiniteMetric",
        "NonZeroExit",
        "OutOfMemory",
        "PodDeleted",
        "PodRejected",
        "RankFailed",
        "ResultsNotRead",
        "ResultsTooLarge",
        "StorageFull",
        "StorageRefused",
        "StorageUnavailable",
        "Timeout",
        "TrainerError",
    }
)

# Why an experiment's condition has its status, by the condition's type.
CONDITIONS: Final[Mapping[str, frozenset[str]]] = {
    "Accepted": frozenset({"InvalidSpec", "Valid"}),
    "Converged": frozenset({"Collapsed", "Converged", "NotEndedYet"}),
    "DevicesAvailable": frozenset({"Available", "DeviceUnavailable", "MeasurementFailed"}),
    "Failed": frozenset(
        {
            "BudgetExhausted",
            "Ended",
            "InvalidDataset",
            "InvalidTrial",
            "MaxFailuresExceeded",
            "MetricMissing",
            "NoTrialSucceeded",
            "NotEnded",
            "NothingMeasured",
            "ResultsTooLarge",
            "SupernetFailed",
        }
    ),
    "Generalizes": frozenset({"NoTestMetric", "NotJudgedYet", "OneSeed", "ValidationBetterThanTest", "WithinNoise"}),
    "MetricsAvailable": frozenset(
        {
            "MetricsUnreadable",
            "NotReadYet",
            "PodsUnreachable",
            "PrometheusError",
            "PrometheusNotConfigured",
            "PrometheusUnreachable",
            "Read",
        }
    ),
    "ProposalsAvailable": frozenset({"Proposing", "StrategyFault"}),
    "ProxyUseful": frozenset({"NotComparable", "NotCorrelated", "RanksCandidates", "TooFewTrained", "WorseThanFlops"}),
    "RankingReliable": frozenset({"DifferentOrder", "NotComparable", "SameOrder", "TooFewTrained"}),
    # Beside these the apiserver's word for what it refuses or cannot do.
    "Reconciled": frozenset(
        {
            "ApiError",
            "Conflict",
            "Forbidden",
            "InternalError",
            "Invalid",
            "NoProposal",
            "NotFound",
            "ObjectLeftOut",
            "Reconciled",
            "ServiceUnavailable",
            "Timeout",
            "TooManyRequests",
            "Unauthorized",
            "Unreachable",
        }
    ),
    "Running": frozenset({"Ended", "Rejected", "Searching", "Suspended"}),
    "Succeeded": frozenset(
        {"BudgetExhausted", "Ended", "GoalReached", "NotEnded", "SearchSpaceExhausted", "TrialsCompleted"}
    ),
    "Suspended": frozenset({"NotSuspended", "Suspended"}),
    "TrialsAdmitted": frozenset({"Admitted", "QueueNotServed", "Queued"}),
    "TrialsScheduled": frozenset({"ClaimNotAllocated", "NodesUnavailable", "PodRefused", "Scheduled", "Unschedulable"}),
}


def bounded(reason: str, known: Collection[str]) -> str:
    """A reason that is known, or `OTHER` for any other."""
    return reason if reason in known else OTHER
