"""The structure that was carried: told in plain types, drawn, and found in a run."""

import json
import re
from types import SimpleNamespace

import pytest
from browser import CHROMIUM, Browser
from report_documents import VARIANTS, document, plain, transferred

from headstart.evidence.structure import structure_of
from headstart.findings import structure_carried
from headstart.method import Family
from headstart.report import render

HOSTILE = '<script>alert("1")</script>'


def section(made):
    """Return the section of a page."""
    found = re.search(r'<section id="carried".*?</section>', render(made), flags=re.DOTALL)
    return None if found is None else found[0]


def charts(made):
    return re.findall(r'<svg class="(?:wide|narrow)" role="img".*?</svg>', section(made), flags=re.DOTALL)


def test_structure_is_told_in_plain_types():
    told = structure_of(transferred()).document()
    assert json.loads(json.dumps(told)) == told
    parts = {part["source"]: (part["target"], part["inverted"]) for part in told["mapping"]}
    assert parts == {
        "workedunder(A, B)": ("advisedby(A, B)", False),
        "director(A)": ("professor(A)", False),
        "movie(A, B)": ("wrote(B, A)", True),
        "genre(A, B)": (None, False),
    }
    assert told["new"] == ["project(A, B)"]
    assert (len(told["before"]), len(told["after"])) == (2, 1)
    assert told["before"][1] == [
        "+0.200  workedunder(A, B) :- genre(A, _).",
        "-0.100  workedunder(A, B) :- not(genre(A, _)).",
    ]


def test_what_has_no_mapping_tells_its_lines_and_what_tells_nothing_is_none():
    assert structure_of(SimpleNamespace(templates=lambda: ["there and back"])).lines == ["there and back"]
    assert structure_of(SimpleNamespace(explain=lambda: "one\ntwo")).lines == ["one", "two"]
    assert structure_of(SimpleNamespace()) is None


def test_the_first_relation_based_candidate_is_asked():
    def entry(family, predictor):
        model = SimpleNamespace(predictor=predictor)
        return SimpleNamespace(method=SimpleNamespace(family=family), fit=lambda target: model)

    other = entry(Family.FEATURES, SimpleNamespace(templates=lambda: ["no"]))
    assert structure_carried([other], None) is None
    found = structure_carried([other, entry(Family.RELATIONS, transferred())], None)
    assert found.variant == "revised"


def test_mapping_is_drawn_for_a_page_and_for_a_phone_and_told_to_those_who_dont_see_it():
    drawn = charts(VARIANTS["everything"])
    assert len(drawn) == 2
    for chart in drawn:
        described = re.search(r'aria-describedby="([^"]+)"', chart)[1]
        told = re.search(rf'<desc id="{described}">(.*?)</desc>', chart)[1]
        assert "movie(A, B) becomes wrote(B, A), its arguments in another order" in told
        assert "nothing plays the part of genre(A, B)" in told
        assert "<title>" in chart
        # Four predicates: one line is dashed and one crossed; one target predicate is new.
        assert chart.count("stroke-dasharray") == 1
        assert chart.count('class="inverted"') == 1
        assert chart.count('fill="none" stroke="var(--transfer)" stroke-width="1.5"') == 1
        assert not re.search(r"#[0-9a-f]{3,6}\b", chart)


def test_clauses_stand_side_by_side_and_a_tree_that_is_gone_is_said():
    text = section(VARIANTS["everything"])
    before, after = text.index("Tree 1 in the source"), text.index("Tree 1 as delivered")
    assert before < text.index("movie(C, A), movie(C, B), director(B)") < after
    assert after < text.index("wrote(A, C), wrote(B, C), professor(B)")
    assert text.count("There is no such tree.") == 1
    assert "person → human, film → paper" in text


def test_templates_are_listed_and_other_runs_have_no_such_section():
    assert "a step there and back joins both" in section(VARIANTS["everything without labels"])
    assert section(VARIANTS["helps"]) is None


def test_names_of_predicates_are_no_html():
    told = plain(structure_of(transferred()))
    told["mapping"][1] |= {"source": HOSTILE, "target": HOSTILE}
    told["new"], told["before"] = [HOSTILE], [[HOSTILE]]
    assert "<script" not in section(document(relations=told))


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
@pytest.mark.parametrize("width", [1280, 375])
def test_rules_are_beside_each_other_on_a_page_and_below_on_a_phone(tmp_path, width):
    page = tmp_path / "page.html"
    page.write_text(render(VARIANTS["everything"]), encoding="utf-8")
    browser = Browser(tmp_path)
    try:
        browser.open(page, width=width)
        places = browser.run(
            "[...document.querySelectorAll('.rules')][0].querySelectorAll('div').values().map("
            "each => each.getBoundingClientRect()).map(at => [at.left, at.top]).toArray()"
        )
        beside = places[0][1] == places[1][1]
        assert beside == (width > 1000)
        assert browser.run("document.documentElement.scrollWidth") <= width
        shown = browser.run(
            "[...document.querySelectorAll('#carried figure > svg')].filter(each => each.checkVisibility()).length"
        )
        assert shown == 1
    finally:
        browser.close()
