"""What a process takes and frees again and again, by the system's own count of page faults."""

import ctypes
import subprocess
import sys
from collections.abc import Mapping

import pytest

from clir_core.align.train.memory import KEEP_FREED_MEMORY

# in a thread: Ray Train's workers train in one
CHILD = """
import resource, threading, numpy
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def work():
    numpy.ones(100_000_000, numpy.uint8)
    before = faults()
    for _ in range(3):
        numpy.ones(100_000_000, numpy.uint8)
    print(faults() - before)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def page_faults(environment: Mapping[str, str]) -> int:
    # numpy asks for huge pages otherwise, which fault less often
    environment = {"NUMPY_MADVISE_HUGEPAGE": "0", **environment}
    done = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this is not glibc")
def test_blocks_that_were_freed_are_used_again() -> None:
    assert page_faults(KEEP_FREED_MEMORY) * 20 < page_faults({})
