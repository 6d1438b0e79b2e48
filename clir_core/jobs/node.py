"""A node of a Ray cluster: `python -m clir_core.jobs.node`, with the options of `ray start`. Stays until it is ended.

Ray ends a node where one of its processes is killed, but not where its raylet ends by itself, as it does when one of
its agents is killed (Ray 2.60): a node would stay that takes jobs and does none. Here it ends, too.
"""

import os
import sys
import threading
import time

from clir_core.workspace import processes

SECONDS_BETWEEN_LOOKS = 1.0
RAYLET = "raylet/raylet"


def end_without_raylet() -> None:
    """End this process once a raylet was its child and is no more. Who starts the next node ends what this one left."""
    while not _has_raylet():
        time.sleep(SECONDS_BETWEEN_LOOKS)
    while _has_raylet():
        time.sleep(SECONDS_BETWEEN_LOOKS)
    print("the raylet has ended, and this node with it", flush=True)
    os._exit(1)


def _has_raylet() -> bool:
    return any(RAYLET in command for command in processes.children(os.getpid()).values())


def main() -> None:
    """Become `ray start --block`."""
    threading.Thread(target=end_without_raylet, daemon=True).start()
    from ray.scripts.scripts import main as ray  # seconds to import

    sys.argv = ["ray", "start", "--block", *sys.argv[1:]]
    ray()


if __name__ == "__main__":
    main()
