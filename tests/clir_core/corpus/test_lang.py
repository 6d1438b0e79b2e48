"""Language codes against what BCP-47, ISO 639 and mteb write."""

import pytest

from clir_core.corpus.lang import (
    canonical,
    closest,
    from_flores,
    is_language,
    language_name,
    language_problem,
    mteb_code,
)


@pytest.mark.parametrize("code", ["en", "zh", "zh-Hant", "pt-BR", "deu", "EN", "yue", "ary", "fil"])
def test_languages_are_known(code):
    assert is_language(code)


@pytest.mark.parametrize(
    "code", ["zz", "xx", "klingonish", "german", "", "und", "mul", "zxx", "zzz", "x-foo", "de-", "12"]
)
def test_other_things_are_no_languages(code):
    assert not is_language(code)


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        *(("german", "de"), ("German", "de"), ("deutsch", "de"), ("deu", "de"), ("eng", "en"), ("EN", "en")),
        *(("englsh", "en"), ("chinese", "zh"), ("Mandarin", "zh"), ("jp", "ja"), ("cn", "zh"), ("gr", "el")),
    ],
)
def test_closest_finds_what_was_meant(code, meant):
    assert closest(code) == meant


@pytest.mark.parametrize("code", ["zz", "xx", "klingonish", "", "日本語"])
def test_closest_says_nothing_where_nothing_is_near(code):
    assert closest(code) is None


def test_closest_only_names_what_is_known():
    assert closest("german", ["en", "zh"]) is None
    # Swedish is understood: it is not a mistyped Spanish
    assert closest("swedish", ["en", "es"]) is None
    assert closest("zh-Hant", ["en", "zh"]) == "zh"
    assert closest("nb", ["en", "no"]) == "no"


@pytest.mark.parametrize(("code", "name"), [("zh", "Chinese"), ("zh-Hant", "Chinese (Traditional)"), ("zz", "zz")])
def test_names_are_english(code, name):
    assert language_name(code) == name


@pytest.mark.parametrize(
    ("code", "written"),
    [
        *(("zh", "zho-Hans"), ("en", "eng-Latn"), ("ar", "ara-Arab"), ("de", "deu-Latn"), ("hi", "hin-Deva")),
        *(("th", "tha-Thai"), ("el", "ell-Grek"), ("ru", "rus-Cyrl"), ("zh-Hant", "zho-Hant"), ("sr-Latn", "srp-Latn")),
    ],
)
def test_mteb_writes_iso_639_3_and_script(code, written):
    assert mteb_code(code) == written


@pytest.mark.parametrize(
    ("flores", "code"),
    [
        *(("zho_Hans", "zh"), ("zho_Hant", "zh-Hant"), ("eng_Latn", "en"), ("arb_Arab", "ar"), ("arb_Latn", "ar-Latn")),
        *(("arz_Arab", "arz"), ("kor_Hang", "ko"), ("jpn_Jpan", "ja"), ("pes_Arab", "fa"), ("hin_Latn", "hi-Latn")),
        *(("swh_Latn", "sw"), ("nob_Latn", "nb"), ("srp_Cyrl", "sr"), ("ckb_Arab", "ckb"), ("shn_Mymr", "shn")),
        *(("prs_Arab", "fa-AF"), ("azb_Arab", "azb")),
    ],
)
def test_flores_codes_become_bcp_47(flores, code):
    assert from_flores(flores) == code
    assert is_language(code) and canonical(code) == code


@pytest.mark.parametrize(
    ("code", "written"),
    [
        *(
            ("de", "de"),
            ("DE", "de"),
            ("deu", "de"),
            ("ger", "de"),
            ("de_Latn", "de"),
            ("iw", "he"),
            ("en_US", "en-US"),
        ),
        *(("zho", "zh"), ("zho_Hans", "zh"), ("zh-Hans", "zh-Hans"), ("zh_TW", "zh-TW"), ("arb_Latn", "ar-Latn")),
        *(("german", "german"), ("zz", "zz"), ("", "")),
    ],
)
def test_a_code_of_one_meaning_is_written_in_one_way(code, written):
    assert canonical(code) == written == canonical(written)


def test_a_corpus_cannot_use_a_code_that_is_none():
    assert language_problem("de") is None and language_problem("deu") is None
    assert "'de'" in str(language_problem("german"))
