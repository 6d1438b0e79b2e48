"""What the libraries may send where: nothing reports home, nothing for this machine itself goes to a proxy.

Light, because it has to be said before any of them is imported. Files that can import nothing repeat the switches:
infra/Dockerfile, deployments/prefect.yaml, Makefile. A test compares.
"""

import os
from collections.abc import Mapping

OFF = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "off",  # no address: a head that reports nothing would report that
}
# this machine, where logins and tokens go; and what a cloud tells it alone, credentials among it, which Ray asks for
HERE = ("127.0.0.1", "localhost", "::1", "169.254.169.254", "metadata.google.internal")


def switch_off() -> None:
    """For this process and what it starts, where the environment does not say otherwise."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)
    # whatever the environment says: a login is nothing for a proxy
    os.environ.update(no_proxy(os.environ))


def no_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Who is asked without a proxy: whom the environment names, and this machine."""
    # libraries read the one or the other; "*" is for all, and understood when it stands alone
    named = ",".join(environment.get(name, "") for name in ("NO_PROXY", "no_proxy")).split(",")
    hosts = dict.fromkeys([*filter(None, map(str.strip, named)), *HERE])
    value = "*" if "*" in hosts else ",".join(hosts)
    return {"NO_PROXY": value, "no_proxy": value}
