"""What pods have taken: GPU time, and time by price class, which prices make a cost of.

Times are kept, not costs: a price that is corrected corrects what was spent before, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kubenas.api.budget import Budget
from kubenas.api.device import Device
from kubenas.api.status import ClassCost, Cost
from kubenas.api.trial import MAX_CLASSES, ClassSeconds, TrialStatus
from kubenas.experiment.state import Attempt, AttemptPhase, Trial, earliest

_HOUR = 3600.0
# A status is not written for what its running attempts have taken more often than this.
_STATUS_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Spent:
    """Times in whole milliseconds, as statuses have them: their sums do not depend on the order.

    Attributes:
        gpu: GPU time.
        classes: time that pods have run, by price class.
    """

    gpu: int = 0
    classes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, status: TrialStatus) -> Spent:
        """What a trial's ended attempts have taken, as its status has it."""
        return cls(
            round(status.gpu_seconds * 1000),
            {one.price_class: round(one.seconds * 1000) for one in status.class_seconds},
        )

    @classmethod
    def by(cls, attempt: Attempt, shares: Mapping[str, float], now: float) -> Spent:
        """What an attempt, of whatever kind, has taken until its end, or until now."""
        return cls.in_time(attempt.seconds(now), attempt.gpus(shares), attempt.price_class)

    @classmethod
    def in_time(cls, seconds: float, gpus: float, price_class: str | None) -> Spent:
        """What so many GPUs, in a pod of that class, have taken in that time."""
        time = round(max(0.0, seconds) * 1000)
        return cls(round(gpus * time), {price_class: time} if price_class and time else {})

    def __add__(self, other: Spent) -> Spent:
        """Both together."""
        if not other.classes:
            return Spent(self.gpu + other.gpu, self.classes)
        names = {**self.classes, **other.classes}
        return Spent(
            self.gpu + other.gpu, {name: self.classes.get(name, 0) + other.classes.get(name, 0) for name in names}
        )

    @property
    def gpu_seconds(self) -> float:
        """GPU time in seconds."""
        return self.gpu / 1000

    @property
    def class_seconds(self) -> list[ClassSeconds]:
        """As a status has them: what there is no room for counts as the last one that there is."""
        rows = [ClassSeconds(price_class=name, seconds=time / 1000) for name, time in sorted(self.classes.items())]
        kept, more = rows[:MAX_CLASSES], rows[MAX_CLASSES:]
        if more:
            seconds = round(sum(one.seconds for one in (kept[-1], *more)), 3)
            kept[-1] = kept[-1].model_copy(update={"seconds": seconds})
        return kept

    def cost(self, prices: Mapping[str, float]) -> float:
        """What it costs; a class without a price costs nothing."""
        return sum(time / 1000 / _HOUR * prices.get(name, 0.0) for name, time in sorted(self.classes.items()))


@dataclass(frozen=True, slots=True)
class Spending:
    """What an experiment has spent.

    Attributes:
        spent: by ended and running attempts.
        gpus: that are in use.
        running: number of running attempts by price class; "" where they have none.
    """

    spent: Spent
    gpus: float
    running: Mapping[str, int]


def spending(
    ended: Spent,
    unfinished: Iterable[Trial],
    attempts: Mapping[str, Attempt],
    benchmarks: Iterable[Attempt],
    budget: Budget,
    now: float,
) -> Spending:
    """What an experiment has spent by now.

    Args:
        ended: by its ended trials.
        unfinished: its other trials.
        attempts: by name; those that exist now.
        benchmarks: that trials wait for.
        budget: says what devices count for.
        now: seconds since the epoch.
    """
    spent, gpus, running = ended, 0.0, dict[str, int]()
    for trial in unfinished:
        attempt = None if trial.measuring else attempts.get(trial.attempt_name)
        spent += spent_by(trial, attempt, budget.device_shares, now)
        if attempt is not None and attempt.phase is AttemptPhase.RUNNING:
            gpus += attempt.gpus(budget.device_shares)
            name = attempt.price_class or ""
            running[name] = running.get(name, 0) + 1
    for one in benchmarks:
        spent += Spent.by(one, budget.device_shares, now)
        used = one.gpus(budget.device_shares)
        if one.phase is AttemptPhase.RUNNING and (used or one.price_class):
            gpus += used
            running[one.price_class or ""] = running.get(one.price_class or "", 0) + 1
    return Spending(spent, gpus, running)


def spent_by(trial: Trial, attempt: Attempt | None, shares: Mapping[str, float], now: float) -> Spent:
    """What all attempts of an unfinished trial have taken by now, the current one included."""
    status, before = trial.status, Spent.of(trial.status)
    # Once it is measured, its last attempt has ended, and is in the status; so are benchmarks that have.
    start = None if trial.measuring else running_since(trial, attempt)
    if start is None:
        return before
    if attempt is None:
        # One that is gone without anyone having seen when may have run until now: a budget must hold.
        end, gpus, name = now, status.gpus or 0.0, status.price_class
    else:
        end, gpus, name = attempt.ended or now, attempt.gpus(shares), attempt.price_class
    return before + Spent.in_time(end - start, gpus, name)


def running_since(trial: Trial, attempt: Attempt | None) -> float | None:
    """When the current attempt of a trial began to run; None where it does not run yet.

    What was noted of it holds where its pod does not say so any more, as after a restart of its node, and where it
    says something later, as an operator that has just started may not know that a node's clock is ahead.
    """
    noted = trial.status.start_time.timestamp() if trial.status.start_time else None
    if attempt is None:
        return noted
    if attempt.started is not None and attempt.ended is not None:
        return attempt.started
    return earliest(attempt.started, noted if trial.status.pod == attempt.name else None)


def budget_spent(budget: Budget, spent: Spent) -> str | None:
    """Which budget is spent, in words."""
    if budget.gpu_hours is not None and spent.gpu_seconds >= budget.gpu_hours * _HOUR:
        return f"{spent.gpu_seconds / _HOUR:.2f} GPU hours are spent, of budget.gpuHours {budget.gpu_hours:g}."
    if budget.cost is not None and (cost := spent.cost(budget.prices)) >= budget.cost:
        return f"{cost:.2f} are spent by budget.prices, of budget.cost {budget.cost:g}."
    return None


def spent_on(device: Device, budget: Budget, spent: Spent) -> str | None:
    """Which budget is spent that a measurement on the device would take more of, in words."""
    hours, cost = (budget.model_copy(update={other: None}) for other in ("cost", "gpu_hours"))
    asked = [name for name in device.asked if budget.device_shares.get(name, 1.0) > 0]
    costs = budget.prices.get(device.price_class or "", 0.0) > 0
    return (budget_spent(hours, spent) if asked else None) or (budget_spent(cost, spent) if costs else None)


def exhausted_at(budget: Budget, spending: Spending, now: float) -> list[float]:
    """When budgets are spent if all goes on as it does."""
    found = []
    if budget.gpu_hours is not None and spending.gpus > 0:
        found.append(now + max(0.0, budget.gpu_hours * _HOUR - spending.spent.gpu_seconds) / spending.gpus)
    rate = sum(count * budget.prices.get(name, 0.0) for name, count in spending.running.items()) / _HOUR
    if budget.cost is not None and rate > 0:
        found.append(now + max(0.0, budget.cost - spending.spent.cost(budget.prices)) / rate)
    return found


def cost_of(spending: Spending, prices: Mapping[str, float], old: Cost | None) -> Cost:
    """What a status says: it follows what runs a few minutes late, and times in it never fall.

    An attempt may turn out to have ended sooner than was counted, and a trial may be deleted.
    """
    spent, before = spending.spent, old or Cost()
    hours = {one.price_class: one.hours for one in before.classes}
    seconds = {**dict.fromkeys(hours, 0), **spent.classes}
    grown = max(
        spent.gpu_seconds - before.gpu_hours * _HOUR,
        sum(seconds.values()) / 1000 - sum(hours.values()) * _HOUR,
    )
    gpu_hours = before.gpu_hours
    running = sum(spending.running.values())
    if grown >= _STATUS_SECONDS * running:
        gpu_hours = max(gpu_hours, round(spent.gpu_seconds / _HOUR, 4))
        hours = {name: max(hours.get(name, 0.0), round(time / 1000 / _HOUR, 4)) for name, time in seconds.items()}
    total = sum(hours[name] * prices.get(name, 0.0) for name in sorted(hours))
    return Cost(
        gpu_hours=gpu_hours,
        total=round(total, 4) if prices else None,
        classes=[
            ClassCost(price_class=n, hours=hours[n], cost=round(hours[n] * prices[n], 4) if n in prices else None)
            for n in sorted(hours)[:MAX_CLASSES]
        ],
    )
