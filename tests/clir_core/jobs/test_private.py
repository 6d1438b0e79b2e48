"""What this project takes from inside Ray is still there; where it is not, a sentence says what to look for instead."""

import inspect
from pathlib import Path

import ray
from ray._private import ray_constants, services, worker
from ray.train import TrainingFailedError
from ray.train.v2._internal import exceptions as inside
from ray.train.v2.api import exceptions as outside

from clir_core.errors import ModelError
from clir_core.jobs.private_train import Trainer, cause


def test_ray_still_asks_whether_clusters_of_several_hosts_are_on() -> None:
    assert "ray_constants.ENABLE_RAY_CLUSTER" in inspect.getsource(services), (
        "nothing keeps a local cluster to the loopback address: start_local has to find another switch"
    )
    assert ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR == "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", (
        "deployments/settings.py sets this variable by its name"
    )


def test_a_cluster_can_be_told_its_address() -> None:
    assert "_node_ip_address" in inspect.getsource(ray.init), "start_local names the address that the cluster takes"


def test_a_cluster_knows_its_dashboard() -> None:
    assert not inspect.signature(worker.get_dashboard_url).parameters, "has_dashboard asks it without arguments"


def test_a_trainer_still_makes_the_callback_that_is_left_out() -> None:
    made = inspect.getsource(super(Trainer, Trainer)._create_default_callbacks)
    assert "PlacementGroupCleanerCallback" in made, "Trainer leaves it out; there may be nothing to leave out now"


def test_what_a_worker_raised_is_found_in_what_a_fit_raises() -> None:
    mine, other = ModelError("no such weights"), OSError("gone")
    wrapped = [inside.UserExceptionWithTraceback(error, "traceback") for error in (other, mine)]
    assert cause(outside.WorkerGroupError("failed", dict(enumerate(wrapped)))) is mine
    assert cause(outside.WorkerGroupError("failed", {0: wrapped[0]})) is other
    assert cause(outside.WorkerGroupError("failed", {0: inside.WorkerHealthCheckFailedError("ill", other)})) is other
    assert cause(outside.ControllerError(other)) is other
    assert cause(plain := TrainingFailedError("no more is known")) is plain


def test_no_other_file_reaches_into_ray() -> None:
    code = Path(__file__).parents[3] / "clir_core"
    inner = ("ray._private", "v2._internal", "_create_default_callbacks", "_node_ip_address")
    reaching = {path.name for path in code.rglob("*.py") if any(name in path.read_text("utf-8") for name in inner)}
    assert reaching == {"private.py", "private_train.py"}
