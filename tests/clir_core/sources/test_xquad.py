"""XQuAD: the real files, and files that are cut, damaged or taken from elsewhere."""

import json

import pytest

from clir_core.corpus.clusters import cluster_queries
from clir_core.errors import CorpusError
from clir_core.sources import read_corpus


def squad(*contexts: str, marker: str = "q") -> dict:
    """One article; paragraph n asks one question with id n."""
    paragraphs = [
        {"context": context, "qas": [{"id": f"{marker}{at}", "question": f"{context}?", "answers": []}]}
        for at, context in enumerate(contexts)
    ]
    return {"data": [{"title": "Tides", "paragraphs": paragraphs}], "version": "1.1"}


@pytest.fixture
def folder(tmp_path):
    for lang, contexts in {"en": ("moon", "sun"), "de": ("Mond", "Sonne"), "zh": ("月", "日")}.items():
        (tmp_path / f"xquad.{lang}.json").write_text(json.dumps(squad(*contexts), ensure_ascii=False), encoding="utf-8")
    return tmp_path


def problems_of(folder, languages=()) -> list[str]:
    with pytest.raises(CorpusError) as caught:
        read_corpus(f"xquad:{folder}", languages)
    return list(caught.value.problems)


def test_the_real_files(xquad_dir):
    corpus = read_corpus(f"xquad:{xquad_dir}")
    assert corpus.name == "xquad"
    assert corpus.languages == ("en", "ar", "de", "el", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
    assert (len(corpus.documents), len(corpus.queries), len(corpus.qrels)) == (12 * 240, 12 * 1190, 12 * 1190)
    assert corpus.skipped == ()


def test_a_real_question_leads_to_the_paragraph_that_holds_its_answer(xquad_dir):
    corpus = read_corpus(f"xquad:{xquad_dir}", ["zh"])
    assert len(corpus.documents) == 2 * 240
    texts = {(row["lang"], row["group_id"]): row["text"] for row in corpus.documents.to_pylist()}
    gold = dict(zip(corpus.qrels["query_id"].to_pylist(), corpus.qrels["group_id"].to_pylist(), strict=True))
    for lang in ("en", "zh"):
        for article in json.loads((xquad_dir / f"xquad.{lang}.json").read_text(encoding="utf-8"))["data"]:
            for question in (question for part in article["paragraphs"] for question in part["qas"]):
                text = texts[lang, gold[f"{lang}/{question['id']}"]]
                answer = question["answers"][0]
                assert text[answer["answer_start"] :].startswith(answer["text"])


def test_ids_and_groups_come_from_the_position(folder):
    corpus = read_corpus(f"xquad:{folder}", ["zh"])
    documents = {row["doc_id"]: row for row in corpus.documents.to_pylist()}
    expected = {"doc_id": "zh/a00-p01", "group_id": "a00-p01", "lang": "zh", "text": "日", "title": None}
    assert documents["zh/a00-p01"] == expected
    expected = {"query_id": "zh/q1", "group_id": "q1", "lang": "zh", "text": "日?", "article": "a00"}
    assert corpus.queries.to_pylist()[-1] == expected
    assert corpus.qrels.to_pylist()[-1] == {"query_id": "zh/q1", "group_id": "a00-p01", "doc_id": None, "grade": 1}


def test_questions_say_their_article_and_keep_it_in_a_split(tmp_path):
    data = [squad(f"{n} first", f"{n} second", marker=f"{n}q")["data"][0] for n in range(11)]
    for lang in ("en", "de"):
        (tmp_path / f"xquad.{lang}.json").write_text(json.dumps({"data": data}))
    corpus = read_corpus(f"xquad:{tmp_path}")
    articles = dict(zip(corpus.queries["query_id"].to_pylist(), corpus.queries["article"].to_pylist(), strict=True))
    assert articles == {f"{lang}/{n}q{at}": f"a{n:02}" for lang in ("en", "de") for n in range(11) for at in (0, 1)}
    test = read_corpus(f"xquad:{tmp_path}#test", ["de"])
    assert set(test.queries["article"].to_pylist()) == {"a00", "a03", "a06", "a09"}
    assert cluster_queries(test, "article")["cluster"].value_counts(sort=True).rows() == [(n, 4) for n in range(4)]


def test_only_the_files_asked_for_are_read(folder):
    (folder / "xquad.de.json").write_text("{")
    assert read_corpus(f"xquad:{folder}", ["zh"]).languages == ("en", "zh")


def test_all_broken_files_are_reported_at_once(folder):
    english, german, chinese = (folder / f"xquad.{lang}.json" for lang in ("en", "de", "zh"))
    english.write_bytes(english.read_bytes()[:90])
    german.write_bytes(german.read_bytes().replace(b"Mond", b"M\xf6nd"))
    chinese.write_text(json.dumps({"data": [{"paragraphs": [{"text": "月", "qas": [{"id": 5, "question": "?"}]}]}]}))
    (folder / "xquad.es.json").write_text('{"data": [}')
    (folder / "xquad.fr.json").write_text("")
    cut, latin1, broken, empty, no_context, number = problems_of(folder)
    assert cut.startswith(f"{english}: the JSON is cut off") and "line 1 column 90" in cut and "again" in cut
    assert latin1.startswith(f"{german}: not UTF-8") and "column" in latin1 and "save the file as UTF-8" in latin1
    assert broken.startswith(str(folder / "xquad.es.json")) and "line 1 column 11" in broken
    assert empty.startswith(str(folder / "xquad.fr.json")) and "cut off" in empty
    assert no_context == f"{chinese}: 'data[0].paragraphs[0].context' is missing; add it"
    assert "'data[0].paragraphs[0].qas[0].id'" in number and "not 5" in number


def test_a_lone_surrogate_is_no_text(folder):
    (folder / "xquad.de.json").write_text(json.dumps(squad("\ud800", "Sonne")))
    assert "not JSON" in problems_of(folder)[0]


def test_files_with_other_questions_are_no_translations(folder):
    (folder / "xquad.de.json").write_text(json.dumps(squad("Mond", "Sonne", marker="x")))
    problems = problems_of(folder)
    assert len(problems) == 2
    assert problems[0].startswith(f"{folder / 'xquad.de.json'}, row 1: paragraph a00-p00")


def test_an_empty_context_is_named_with_its_paragraph(folder):
    (folder / "xquad.de.json").write_text(json.dumps(squad("Mond", " ")))
    (problem,) = problems_of(folder)
    assert problem.startswith(f"{folder / 'xquad.de.json'}, row 2: text of document 'de/a00-p01' is empty")


def test_english_must_be_there(folder):
    (folder / "xquad.en.json").unlink()
    assert "English ('en') is not in the corpus" in problems_of(folder, ["zh"])[0]


def test_a_file_of_another_code_is_that_language(folder):
    (folder / "xquad.de.json").rename(folder / "xquad.deu.json")
    corpus = read_corpus(f"xquad:{folder}", ["de"])
    assert corpus.documents["doc_id"].to_pylist()[0] == "de/a00-p00"
    assert corpus.notes == ("Codes of languages were read as BCP-47 writes them: deu as de.",)


def test_a_file_named_after_no_language_is_named_once(folder):
    (folder / "xquad.de.json").rename(folder / "xquad.german.json")
    assert problems_of(folder) == ["language 'german' is not a BCP-47 code; did you mean 'de'?"]
