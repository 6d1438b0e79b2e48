"""What is asked of a source beside its place, and which of several qrels that means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clir_core.corpus.reading import AS_IT_IS, ReadingSpec
from clir_core.errors import CorpusError

_HELD_OUT = ("test", "devtest", "dev", "validation", "val")
USUAL = (*_HELD_OUT, "train")  # in the order in which an audit takes them


@dataclass(frozen=True)
class Asked:
    """Languages beside the pivot, none meaning all; the part of the qrels, if one is named; whether to train on it.

    `texts` says that its texts are wanted: what asks and answers within other languages than the pivot may be left out.
    """

    languages: Sequence[str] = ()
    split: str | None = None
    training: bool = False
    reading: ReadingSpec = AS_IT_IS
    texts: bool = False


def choose_split(there: Mapping[str, Sequence[str]], asked: Asked, place: str) -> str:
    """The part of the qrels to read; `there` says which ones each part of the corpus has.

    Without one that is named: for an audit test, dev or train; to train on train, never one that audits ask. Raises
    CorpusError where that is not there, or not for all.
    """
    union = list(dict.fromkeys(name for names in there.values() for name in names))
    name = asked.split or _default(union, asked.training)
    has = "; ".join(f"{part}: {', '.join(names) or 'none'}" for part, names in there.items())
    if not union and name is None:
        raise CorpusError(f"{place}: there is none; name one, such as test")
    if name is None:
        why = "it is to be trained on, and there is no train" if asked.training else "none is called test, dev or train"
        raise CorpusError(f"{place}: {why} ({has}); name one at the end of the reference, such as #{union[0]}")
    without = [part for part, names in there.items() if name not in names]
    if without:
        common = [one for one in union if all(one in names for names in there.values())]
        hint = f"name one that all have, such as #{common[0]}" if common else "give all of them the same one"
        raise CorpusError(f"{place}: {name} is not there for {', '.join(without)} ({has}); {hint}")
    return name


def split_note(files: Sequence[str], others: Sequence[str], what: str = "Qrels") -> str:
    """Which qrels were read, in a sentence."""
    beside = f", and not from {', '.join(others)}" if others else ""
    return f"{what} were read from {', '.join(files)}{beside}."


def _default(names: Sequence[str], training: bool) -> str | None:
    if training:
        unknown = [name for name in names if name not in _HELD_OUT]
        return "train" if "train" in names else unknown[0] if len(names) == len(unknown) == 1 else None
    return next((name for name in USUAL if name in names), names[0] if len(names) == 1 else None)
