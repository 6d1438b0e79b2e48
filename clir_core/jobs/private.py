"""What Ray keeps to itself and a cluster here cannot do without: in this file, Ray Train's in `private_train`.

pyproject.toml holds Ray back; tests/clir_core/jobs/test_private.py says what a later one took away.
"""

import os
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._private.worker import get_dashboard_url


def start_local(scratch: Path, **options: Any) -> None:
    """Start a cluster on this machine that listens on its loopback address alone, and attach to it.

    It keeps sockets and logs in `scratch`.
    """
    # else Ray takes the machine's own address for 127.0.0.1, and listens everywhere; it read the variable at its
    # import, and its children read it at theirs
    ray_constants.ENABLE_RAY_CLUSTER = False
    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    # by name: without one Ray would take any standing cluster of this machine
    ray.init("local", include_dashboard=False, _node_ip_address="127.0.0.1", _temp_dir=str(scratch), **options)


def has_dashboard() -> bool:
    """Whether the cluster can be asked for the state of its actors and jobs."""
    return bool(get_dashboard_url())
