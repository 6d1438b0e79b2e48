"""LanceDB's connection. Light: lancedb itself takes seconds to import, and is only where one is opened."""

import os
import warnings
from typing import Any


def connect(uri: str) -> Any:
    """A database: a directory, which is made where it is missing, or an object store's prefix."""
    os.environ.setdefault("LANCE_LOG", "error")
    # said whenever a program is started: the child is replaced at once and never uses its copy of Lance
    warnings.filterwarnings("ignore", message="lancedb fork support", category=RuntimeWarning)
    import lancedb

    return lancedb.connect(uri)
