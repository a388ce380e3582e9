"""The pure core: plan(experiment, trials, now) -> actions + status."""
