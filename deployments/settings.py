"""Where the service listens and keeps its state, and the environment that its processes and its users need."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from clir_core import telemetry
from clir_core.errors import SpecError
from clir_core.workspace import layout
from clir_core.workspace.atomic import write_text
from deployments.environment import passed_on

ROOT = Path(__file__).resolve().parents[1]

SECRETS = ("DATABASE_URL", "CLIR_NOTIFY_URL")
DRIVERS = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg"}


class Settings(BaseSettings):
    """Each field is an environment variable."""

    model_config = SettingsConfigDict(env_prefix="CLIR_", env_ignore_empty=True, frozen=True, extra="ignore")

    workspace: Path = Field(Path(".clir"), description="Everything that is kept; relative to the project")
    ui_port: int = Field(4200, ge=1, le=65535, description="Prefect's UI and API")
    ray_port: int = Field(6379, ge=1, le=65535, description="Where programs attach to the standing Ray")
    dashboard_port: int = Field(8265, ge=1, le=65535, description="Ray's dashboard and Jobs API")
    database_url: str = Field(
        "",
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        pattern=r"^($|postgres(ql)?://|postgresql\+asyncpg://)",
        description="postgresql://USER:PASSWORD@HOST/NAME for Prefect's server; empty means SQLite",
    )
    notify_url: str = Field(
        "",
        pattern=r"^($|off$|https?://)",
        description="Gets a POST with JSON when a checkpoint regressed; empty leaves it as it was, off ends it",
    )
    auto_finetune: bool | None = Field(
        None,
        description="A regression starts align/finetune from the regressed checkpoint; None leaves it as it was",
    )

    @field_validator("database_url")
    @classmethod
    def _can_be_read(cls, url: str) -> str:
        try:
            urlsplit(url).port  # noqa: B018  this is where it is looked at
        except ValueError:
            raise ValueError("cannot be read; in user and password write / as %2F, : as %3A and @ as %40") from None
        return url

    @property
    def home(self) -> Path:
        """The workspace, absolute."""
        return (ROOT / self.workspace).resolve()

    @property
    def state(self) -> Path:
        """Records, logs and the lock of the service."""
        return layout.service(self.home)

    @property
    def login(self) -> Path:
        """The file with what the UI and the API ask for; `make ui` and `clir` read it as well."""
        return layout.login(self.home)

    @property
    def ui(self) -> str:
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def database(self) -> str:
        """The database without its password."""
        if not self.database_url:
            return str(layout.prefect(self.home) / "prefect.db")
        url = urlsplit(self.database_url)
        return f"{url.hostname}:{url.port or 5432}{url.path}"

    def client(self, secret: str) -> dict[str, str]:
        """What a program needs to talk to the service: to be set before Prefect is imported."""
        return {
            **telemetry.OFF,
            **telemetry.no_proxy(os.environ),
            "PREFECT_HOME": str(layout.prefect(self.home)),
            "PREFECT_API_URL": f"{self.ui}/api",
            "PREFECT_API_AUTH_STRING": secret,
            "CLIR_WORKSPACE": str(self.home),
        }

    def ray(self) -> dict[str, str]:
        """The environment of the standing Ray and its jobs: what passes of the caller's, and no login."""
        return {
            **passed_on(os.environ),
            **telemetry.OFF,
            **telemetry.no_proxy(os.environ),
            "RAY_AUTH_MODE": "token",
            # Ray takes another address for 127.0.0.1 and listens everywhere, unless clusters of several hosts are off
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "CLIR_WORKSPACE": str(self.home),
            "CLIR_ROOT": str(ROOT),
            "PYTHONPATH": str(ROOT),  # jobs have this code, too, wherever they start
        }

    def service(self, secret: str) -> dict[str, str]:
        """The environment of the worker and of every run: on top, the login and the standing Ray."""
        return {
            **self.ray(),
            **self.client(secret),
            "PREFECT_SERVER_API_AUTH_STRING": secret,
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # the shortest there is; automations.yaml counts on it
            "PREFECT_WORKER_QUERY_SECONDS": "5",
            # a run that cannot be cancelled any more crashes, and starts again where it can
            "PREFECT_RUNNER_CRASH_ON_CANCELLATION_FAILURE": "true",
            "PREFECT_LOGGING_COLORS": "false",
            "CLIR_RAY_JOBS": self.dashboard,
        }

    def server(self, secret: str) -> dict[str, str]:
        """What Prefect's server needs on top: nobody else gets the database's password."""
        scheme, _, rest = self.database_url.partition("://")
        url = {"PREFECT_API_DATABASE_CONNECTION_URL": f"{DRIVERS.get(scheme, scheme)}://{rest}"} if rest else {}
        return {
            **self.service(secret),
            # SQLite has one writer at a time: wait for it rather than fail
            "PREFECT_API_DATABASE_TIMEOUT": "60",
            # in files: those in memory are gone with a server, and the runs that hold one with them
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            # what `prefect deployment run ... --watch` shows of a run: with its log, why it failed
            "PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED": "true",
            "PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED": "true",
            **url,
        }


KEPT = ("ui_port", "ray_port", "dashboard_port", "database")


def chosen(strict: bool) -> Settings:
    """The environment's settings; what a service runs with stands. SpecError, if strict, where the two differ."""
    asked = Settings()
    if not _file(asked).exists():
        return asked
    kept = _kept(_file(asked))
    given = asked.model_fields_set | {"database"}
    for name in KEPT if strict else ():
        if name in given and getattr(asked, name) != kept[name]:
            raise SpecError(
                f"{variable((name,))}: {getattr(asked, name)} is asked for, but the service runs with {kept[name]}; "
                "`make down` first, or set it as it was"
            )
    return asked.model_copy(update={name: kept[name] for name in KEPT if name != "database"})


class _Kept(BaseModel):
    """What `up` chose."""

    ui_port: int = Field(ge=1, le=65535)
    ray_port: int = Field(ge=1, le=65535)
    dashboard_port: int = Field(ge=1, le=65535)
    database: str


def _kept(file: Path) -> dict[str, Any]:
    try:
        return _Kept.model_validate_json(file.read_bytes()).model_dump()
    except ValidationError as error:
        raise SpecError(
            f"{file}: is damaged, so nobody knows where the service listens; remove it, then `make down` and `make up`"
        ) from error


def remember(settings: Settings) -> None:
    """Keep what a later command has to know without its being set again."""
    write_text(_file(settings), json.dumps({name: getattr(settings, name) for name in KEPT}))


def forget(settings: Settings) -> None:
    """The next `up` may choose anew."""
    _file(settings).unlink(missing_ok=True)


def variable(place: tuple[int | str, ...]) -> str:
    """The environment variable of a field."""
    name = str(place[0])
    return "DATABASE_URL" if name.lower().startswith("database") else f"CLIR_{name.upper()}"


def complaint(error: ValidationError) -> str:
    """What is wrong with the environment, a line a variable; those that may hold a secret are not repeated."""
    lines = []
    for each in error.errors():
        name = variable(each["loc"])
        shown = name if name in SECRETS else f"{name}={each['input']}"
        lines.append(f"{shown}: {each['msg']}")
    return "\n".join(lines)


def _file(settings: Settings) -> Path:
    return layout.service_settings(settings.home)
