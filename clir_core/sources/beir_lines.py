"""The lines of BEIR's JSONL files: what they may hold, and what is wrong with those that hold something else."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clir_core.corpus.tables import further_columns
from clir_core.sources.json_input import complaints


class _Tags(BaseModel):
    """Language and parallel group, beside the text or in its metadata."""

    lang: str | None = None
    language: str | None = None
    group_id: str | None = None


class _Line(_Tags):
    # null ids and texts pass: validation names them as it does those of any other source
    id: str | None = Field(alias="_id")
    text: str | None
    metadata: _Tags | None = None

    @property
    def language_code(self) -> str | None:
        """The code under any of the names that are in use."""
        inner = self.metadata or _Tags()
        return next((code for code in (self.lang, self.language, inner.lang, inner.language) if code is not None), None)

    @property
    def parallel_group(self) -> str | None:
        """The group that is given, else a group of its own."""
        return self.group_id or (self.metadata.group_id if self.metadata else None) or self.id


class Document(_Line):
    """A line of corpus.jsonl."""

    title: str | None = None


class _MoreTags(_Tags):
    model_config = ConfigDict(extra="allow")


class Query(_Line):
    """A line of queries.jsonl."""

    model_config = ConfigDict(extra="allow")
    metadata: _MoreTags | None = None

    @property
    def further(self) -> dict[str, str]:
        """What else the line says in text or whole numbers, in its metadata or, which counts before it, at its top."""
        inner = self.metadata.model_extra if self.metadata else None
        said = {**(inner or {}), **(self.model_extra or {})}
        # in JSON true is no number
        return {name: str(said[name]) for name in further_columns(said) if type(said[name]) in (str, int)}


AnyLine = TypeVar("AnyLine", bound=_Line)


def read_lines(path: Path, kind: type[AnyLine], problems: list[str]) -> Iterator[tuple[int, AnyLine]]:
    """Each line with its number; those that cannot be read go to the problems."""
    try:
        lines = path.open("rb")
    except OSError as error:
        problems.append(f"{path}: {error.strerror}; a BEIR corpus needs it beside the others")
        return
    with lines:
        for number, raw in enumerate(lines, start=1):
            line = raw.removeprefix(codecs.BOM_UTF8).strip()
            if not line:
                continue
            try:
                yield number, kind.model_validate_json(line)
            except ValidationError as error:
                # a line is JSON's line 1 whatever its number in the file
                found = [complaint.replace("line 1 column", "column") for complaint in complaints(error)]
                problems += [f"{path}, row {number}: {complaint}" for complaint in found]
