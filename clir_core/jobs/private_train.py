"""What Ray Train keeps to itself and a fit here cannot do without. Not in `private`: its import takes seconds."""

from typing import Any

from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback

from clir_core.errors import ClirError
from clir_core.jobs.private import has_dashboard


class Trainer(TorchTrainer):
    """Ray's, without the actor that frees the workers' processors if the controller dies, where it would be in vain.

    It asks the dashboard whether the controller lives. A local cluster has none and goes with the run; the actor would
    look for one until Ray has waited 12 seconds for it, at the end of every run.
    """

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [one for one in callbacks if has_dashboard() or not isinstance(one, PlacementGroupCleanerCallback)]


def cause(failed: Exception) -> BaseException:
    """What the first worker raised, a user's error before any other; else what became of it."""
    failures = getattr(failed, "worker_failures", {})
    raised = [failures[rank] for rank in sorted(failures)] or [getattr(failed, "controller_failure", failed)]
    causes = [getattr(one, "_base_exc", getattr(one, "health_check_failure", one)) for one in raised]
    return next((one for one in causes if isinstance(one, ClirError)), causes[0])
