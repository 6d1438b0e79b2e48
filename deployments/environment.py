"""What of the caller's environment reaches the service and its runs: what stands here, as docs/operations.md lists it.

A shell has more in it than its user thinks of: the address of another Ray or Prefect, a profile, a debugging switch.
It would go into every run of every night.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

PASSED = (
    # the machine
    *("PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR"),
    *("XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    # processors and GPUs
    *("OMP_*", "MKL_*", "OPENBLAS_*", "TORCH_*", "PYTORCH_*", "CUDA_*", "NVIDIA_*", "TOKENIZERS_PARALLELISM"),
    *("POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "LANCE_*", "NUMBA_*"),
    # where models, corpora and vectors come from, and who may have them
    *("HF_*", "AWS_*", "GOOGLE_*", "AZURE_*", "OPENAI_API_KEY", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"),
    # the way out
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    # this project
    *("CLIR_*", "DATABASE_URL"),
)
# nobody's but the command's that starts the service: it tells Prefect's server of them, and sets the last itself
HELD_BACK = ("DATABASE_URL", "CLIR_NOTIFY_URL", "CLIR_RAY_JOBS")


def passed(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment counts for the service."""
    return {name: value for name, value in environment.items() if any(fnmatchcase(name, one) for one in PASSED)}


def drop_the_rest() -> None:
    """For this process: only what counts for the service stays in its environment."""
    for name in os.environ.keys() - passed(os.environ).keys():
        del os.environ[name]


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What of it reaches the service's processes, and their runs."""
    return {name: value for name, value in passed(environment).items() if name not in HELD_BACK}


def exports(variables: Mapping[str, str], programs: Path) -> Iterator[str]:
    """Lines for a shell's eval: the variables, and this folder first of those in which it looks for programs."""
    for name, value in variables.items():
        yield f"export {name}={shlex.quote(value)}"
    yield f'export PATH={shlex.quote(str(programs))}:"$PATH"'
