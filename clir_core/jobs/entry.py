"""What runs on a standing cluster: `python -m clir_core.jobs.entry STEP request.json`, the command of a Ray job.

What the run that follows the job must understand goes to its log as a line that begins with `MARK`, JSON after it:
{"begun": name} and {"progress": [name, done, total]}; why the step failed: {"error": [a class of clir_core.errors, its
arguments]}, {"lost": reason} where a worker or a node was lost, {"bug": reason}. All else is there to be read.
"""

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from clir_core.errors import ClirError, SpecError

MARK = "@clir "
SECONDS_BETWEEN = 2.0


def main() -> None:
    """Do the step; exit code 1 where it failed."""
    from ray.exceptions import RayError

    try:
        work(sys.argv[1], Path(sys.argv[2]))
    except ClirError as error:
        tell(error=[type(error).__name__, error.__reduce__()[1]])
    except RayError as error:
        tell(lost=f"{type(error).__name__}: {error}")
    except Exception as error:
        traceback.print_exc()
        tell(bug=f"{type(error).__name__}: {error}")
    else:
        return
    sys.exit(1)


def work(step: str, file: Path) -> None:
    """Read the request and do what it asks. SpecError where the cluster cannot read the file; else the step's own."""
    from clir_core.jobs.cluster import cluster, n_cpus
    from clir_core.jobs.requests import EmbedRequest, RankRequest, TrainRequest

    kinds = {kind.step: kind for kind in (EmbedRequest, RankRequest, TrainRequest)}
    try:
        request = kinds[step].model_validate_json(file.read_text("utf-8"))
        os.chdir(request.started_in)
    except OSError as error:
        raise SpecError(
            f"{error.filename}: the cluster cannot read it ({error.strerror}); put the workspace on a volume that "
            "cluster and flows see under the same path"
        ) from error
    with cluster("auto"):
        print(f"{step} on {n_cpus()} processors")
        request.work(progress)


def progress(name: str) -> Callable[[int, int], None]:
    """A callable that tells the units done and to do, not too often, and always the last."""
    tell(begun=name)
    told = 0.0

    def say(done: int, total: int) -> None:
        nonlocal told
        if done < total and time.monotonic() - told < SECONDS_BETWEEN:
            return
        told = time.monotonic()
        tell(progress=[name, done, total])

    return say


def tell(**event: object) -> None:
    """Say it to whoever follows the job."""
    # in one write: others write to the same log
    sys.stdout.write(f"{MARK}{json.dumps(event, default=str)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    logging.getLogger("clir_core").setLevel(logging.INFO)
    main()
