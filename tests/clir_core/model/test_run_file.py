"""Run files are read as trec_eval reads them: scores decide; what has no meaning, or two, is refused."""

import gzip
from pathlib import Path

import pytest

from clir_core.errors import ModelError
from clir_core.model.baseline import baseline_fields
from clir_core.model.run_file import placed, read_run

LINES = ["q1 Q0 a 1 9.5 tag", "q1\tQ0\tb\t2\t9.5\ttag", "q1 Q0 c 3 -2 tag", "", "q2 Q0 a 1 1e-9 my own tag"]


def written(directory: Path, *lines: str) -> Path:
    path = directory / "my.run.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_a_score_is_its_place_from_behind(tmp_path: Path) -> None:
    run = read_run(written(tmp_path, *LINES))
    assert run.rows.rows() == [("q1", "a", 1, 9.5), ("q1", "b", 2, 9.5), ("q1", "c", 3, -2.0), ("q2", "a", 1, 1e-9)]
    assert run.notes == ()
    weights, queries = placed(run, ["q2", "q1", "q3"], ["d", "c", "b", "a"])
    # equal scores stay equal, the lowest that is listed is above what is not
    assert (queries @ weights.T).toarray().tolist() == [[0, 0, 0, 1], [0, 1, 2, 2], [0, 0, 0, 0]]


def test_what_is_packed_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "my.run.gz"
    path.write_bytes(gzip.compress("\n".join(LINES).encode()))
    assert read_run(path).rows.equals(read_run(written(tmp_path, *LINES)).rows)


def test_scores_decide_and_ranks_that_contradict_them_are_told(tmp_path: Path) -> None:
    run = read_run(written(tmp_path, "q Q0 a 1 5 t", "q Q0 b 2 4 t", "q Q0 c 3 7 t", "q Q0 c 3 7 t"))
    assert run.notes == (
        "The run repeats 1 of its lines.",
        "Scores of the run contradict its ranks at 1 of 2 places; scores decide.",
    )
    weights, _ = placed(run, ["q"], ["a", "b", "c"])
    assert weights.toarray().ravel().tolist() == [2, 1, 3]


def test_ranks_that_are_all_the_same_say_nothing(tmp_path: Path) -> None:
    assert read_run(written(tmp_path, "q Q0 a 0 1 t", "q Q0 b 0 2 t")).notes == ()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["q Q0 a 1 0.1 t", "q Q0 b 2 0.2 t"], "scores rise with the rank at 1 of 1 places, as distances do"),
        (
            ["q a 0.1", "q Q0 a 1 0.1 t", "q Q0 a 2 0.3 t", "q Q0 b 1 nan t", "q Q0 c one 2 t"],
            "line 1: 'q a 0.1' is not .*; line 3: document a of query q again, with another score; line 4: the score "
            "is nan; line 5: ",
        ),
        ([""], "holds no line"),
        (["x"] * 7, "and 2 more; mend"),
    ],
)
def test_what_has_no_meaning_or_two_is_refused(lines: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        read_run(written(tmp_path, *lines))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    for name in ("a.run", "a.gz"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ModelError, match=f"run {tmp_path}/{name}: is .*"):
            read_run(tmp_path / name)


def test_a_run_of_another_corpus_is_refused(tmp_path: Path) -> None:
    run = read_run(written(tmp_path, *LINES))
    with pytest.raises(ModelError, match="the run has query 'q1' and document 'a', the corpus 'en/q1' and 'en/a'"):
        placed(run, ["en/q1"], ["en/a"])


def test_content_is_what_identifies_a_run(tmp_path: Path) -> None:
    path = written(tmp_path, *LINES)
    one = baseline_fields(f"run:{path}", tmp_path)
    other = path.rename(tmp_path / "other.trec.gz")
    assert (one["name"], baseline_fields(f"run:{other}", tmp_path)["name"]) == ("my", "other")
    assert baseline_fields(f"run:{other}", tmp_path)["digest"] == one["digest"]
    changed = written(tmp_path, *LINES[:-1])
    assert baseline_fields(f"run:{changed}", tmp_path)["digest"] != one["digest"]
    with pytest.raises(ModelError, match="no such file; give a TREC run"):
        baseline_fields(f"run:{tmp_path}/none", tmp_path)
    assert baseline_fields("bm25", tmp_path)["kind"] == "bm25"
