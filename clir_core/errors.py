"""What a user can mend. Every message names the place, the value and the next step; anything else is a bug."""

from collections.abc import Sequence


def first_line(error: BaseException) -> str:
    """What an error of somebody else's says, short enough to stand in a sentence; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class ClirError(Exception):
    """Base of all errors that end a run with one clear message and exit code 1."""


class SpecError(ClirError):
    """A request that cannot be carried out as it is written."""


class CorpusError(ClirError):
    """A corpus that cannot be read, or that contradicts itself. Carries every problem found, not only the first."""

    SHOWN = 20

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        self.problems = tuple(problems)
        lines = [message, *(f"  - {problem}" for problem in self.problems[: self.SHOWN])]
        if len(self.problems) > self.SHOWN:
            lines.append(f"  ... and {len(self.problems) - self.SHOWN} more")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        # the default would pass the joined text as the message and lose the list when crossing a process
        return (type(self), (str(self.args[0]).split("\n", 1)[0], self.problems))


class ModelError(ClirError):
    """A checkpoint that cannot be loaded, is not allowed, or gives vectors that cannot be ranked."""


class VectorsError(ClirError):
    """Vectors from elsewhere that do not fit the corpus they are of."""


class AlignError(ClirError):
    """Training that cannot start or go on: data that does not fit, a loss that is no number, a name that is taken."""


class StoreError(ClirError):
    """Vectors that cannot be written or read: no space, a dimension that does not fit, a damaged table."""


class DamageError(StoreError):
    """Files in a workspace whose content is broken: `clir doctor` says what of it can be saved."""


class NightlyError(ClirError):
    """Audits of a night that failed, or sources that were out of reach; the others are done."""
