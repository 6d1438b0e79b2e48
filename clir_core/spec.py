"""Specs and results: frozen models that cross boundaries as JSON, and the fingerprint that names a step's output."""

import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, field_validator
from pydantic.fields import ComputedFieldInfo, FieldInfo

MOST = 2**63 - 1

# where everything is kept that a request does not name another place for
WORKSPACE = Path(os.environ.get("CLIR_WORKSPACE") or ".clir")


def sha256_of(value: Any) -> str:
    """Hex sha256 of a JSON value; keys sorted, so equal values have equal hashes."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def slug(text: str) -> str:
    """Lower-case letters, digits and dashes: a name for files and for Prefect's artifact keys."""
    return "-".join("".join(c if c.isalnum() and c.isascii() else " " for c in text.lower()).split())


def as_text(said: str) -> str:
    """What can be written as UTF-8: of names and contents of files, what cannot is spelled out (\\udcff)."""
    return said.encode("utf-8", "backslashreplace").decode()


# what is said of files
Told = Annotated[str, BeforeValidator(lambda said: as_text(said) if isinstance(said, str) else said)]


def _can_be_named(path: Path) -> Path:
    if "\0" in str(path) or as_text(str(path)) != str(path):
        raise ValueError(f"{as_text(str(path))!r} is no name that JSON and the disk both take; write another one")
    return path


# a path that a request names
Place = Annotated[Path, AfterValidator(_can_be_named)]


def _title(name: str, _: FieldInfo | ComputedFieldInfo) -> str:
    """A field's label in forms, which would call a nested spec by its class otherwise."""
    return name.replace("_", " ").capitalize()


class Spec(BaseModel):
    """A request or a result: frozen, closed to unknown fields, JSON both ways."""

    # without a least length pydantic takes strings that cannot be written as JSON
    model_config = ConfigDict(frozen=True, extra="forbid", field_title_generator=_title, str_min_length=0)

    @field_validator("*")
    @classmethod
    def _can_be_counted(cls, value: Any) -> Any:
        """JSON's whole numbers have no end; those of arrays and clocks have."""
        if isinstance(value, int) and abs(value) > MOST:
            raise ValueError(f"is beyond {MOST:,}, the most that can be counted")
        return value

    def fingerprint(self) -> str:
        """Hex sha256 over every field."""
        return sha256_of(self.model_dump(mode="json"))
