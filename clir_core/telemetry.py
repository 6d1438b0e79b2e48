"""The switches that keep the libraries from reporting home. Light, because they have to be set before any is imported.

Files that can import nothing repeat them: infra/Dockerfile, deployments/prefect.yaml, Makefile. A test compares.
"""

import os

OFF = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def switch_off() -> None:
    """For this process and what it starts, where the environment does not say otherwise."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)
