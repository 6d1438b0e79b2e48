"""What a user reads of an error: one line of somebody else's, all that is wrong with a corpus, in any process."""

import pickle

import pytest

from clir_core.errors import CorpusError, first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("\n  disk on fire\nat 0x7f"), "disk on fire"),
        (ValueError(""), "ValueError"),
        (ValueError(" \n"), "ValueError"),
        (FileNotFoundError(2, "No such file", "x"), "[Errno 2] No such file: 'x'"),
    ],
)
def test_the_first_line_is_what_is_said_or_what_it_was(error: Exception, line: str) -> None:
    assert first_line(error) == line


@pytest.mark.parametrize("count", [0, 1, 20, 21, 500])
def test_a_corpus_error_names_twenty_problems_and_carries_all_to_another_process(count: int) -> None:
    problems = [f"row {i}: empty" for i in range(count)]
    error = pickle.loads(pickle.dumps(CorpusError("corpus c cannot be used", problems)))
    assert error.problems == tuple(problems)
    shown = str(error).splitlines()
    assert shown[0] == "corpus c cannot be used"
    assert shown[1:21] == [f"  - {problem}" for problem in problems[:20]]
    assert shown[21:] == ([f"  ... and {count - 20} more"] if count > 20 else [])
