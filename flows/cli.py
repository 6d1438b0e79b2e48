"""The console command `clir`. A command's options are the fields of its spec, nothing else."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ValidationError, create_model
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliSubCommand,
    SettingsConfigDict,
    SettingsError,
    get_subcommand,
)

from clir_core.errors import ClirError
from clir_core.shown import on_terminal
from flows.commands import COMMANDS, Command


class Clir(BaseSettings):
    """Does this checkpoint favour English, and can it be mended before it ships?"""

    model_config = SettingsConfigDict(cli_prog_name="clir", cli_kebab_case=True, cli_avoid_json=True)


def main(before: Sequence[str] = ()) -> None:
    """Run a command; exit code 1 and one message where something is wrong that the user can mend."""
    asked = command([*before, *sys.argv[1:]])
    with one_message():
        asked.cli_cmd()


def command(arguments: Sequence[str]) -> Any:
    """The command that these arguments ask for. SystemExit with one message where they ask for none."""
    try:
        return get_subcommand(CliApp.run(_parser(arguments), cli_args=[*arguments], cli_exit_on_error=True))
    except SettingsError as error:  # a value in brackets that is no JSON
        said = f"clir {arguments[0]}: a value cannot be read ({error.__cause__}); see clir {arguments[0]} --help"
        sys.exit(on_terminal(said))
    except RecursionError:
        sys.exit(on_terminal(f"clir {arguments[0]}: a value is nested too deeply to be read; write fewer brackets"))
    except ValidationError as error:
        sys.exit(on_terminal("\n".join(f"{_option(item['loc'])}: {item['msg']}" for item in error.errors())))


def _parser(arguments: Sequence[str]) -> type[Clir]:
    """Every command by its name; the options only of the one that is called."""
    called = arguments[0] if arguments else ""
    fields: dict[str, Any] = {
        name: (CliSubCommand[command.load() if name == called else _unloaded(name, command)], ...)  # type: ignore[misc]
        for name, command in COMMANDS.items()
    }
    return create_model("Clir", __base__=Clir, __doc__=Clir.__doc__, **fields)


def _unloaded(name: str, command: Command) -> type[BaseModel]:
    return create_model(name.capitalize(), __doc__=command.about)


def _option(place: tuple[int | str, ...]) -> str:
    """--optimiser.batch, or the command where no single option is wrong."""
    command, *names = place
    return f"--{'.'.join(map(str, names))}" if names else f"clir {command}"


@contextmanager
def one_message() -> Iterator[None]:
    """What the user can mend ends the process: exit code 1, the message alone. So does Ctrl-C, without one: 130."""
    try:
        yield
    except ClirError as error:
        sys.exit(on_terminal(f"clir: {error}"))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
