"""What all tests of the alignment share."""

from collections.abc import Iterator

import pytest
import torch


# of the module: also what its tests share is computed so, to the same bits
@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads on a busy machine wait for each other: twenty times as long on matrices this small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
