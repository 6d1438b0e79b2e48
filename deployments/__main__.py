"""`python -m deployments`: bring the Prefect server that PREFECT_API_URL names up to date with deployments/.

For a server that `make up` did not start: infra/ runs it once, as its service `deploy`.
"""

import sys

import httpx
from prefect.settings import get_current_settings
from pydantic import ValidationError

from clir_core.errors import ClirError
from clir_core.workspace.private import OWN_FOLDER, close
from deployments.automations import make_automations
from deployments.deploy import deploy, make_pool
from deployments.settings import Settings, complaint


def main() -> None:
    """The pool and its queues, every deployment, the automations. Exit code 1 and the reason where that fails."""
    server = get_current_settings().api.url
    if not server:
        sys.exit("PREFECT_API_URL is not set: say which Prefect server to deploy to, such as http://127.0.0.1:4200/api")
    try:
        settings = Settings()
        close(settings.home)
        settings.state.mkdir(OWN_FOLDER, exist_ok=True)
        make_pool()
        deployed = deploy(settings.state / "deploy.log")
        automations = make_automations(settings)
    except ValidationError as error:
        sys.exit(complaint(error))
    except ClirError as error:
        sys.exit(str(error))
    except httpx.HTTPError as error:
        sys.exit(f"{server}: {error or 'no answer'}; check PREFECT_API_URL, PREFECT_API_AUTH_STRING and the server")
    print("\n".join(f"deployed {name}" for name in deployed))
    print("\n".join(f"{'made' if on else 'left out'} {name}" for name, on in automations.items()))


if __name__ == "__main__":
    main()
