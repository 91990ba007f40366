import copy
import functools
import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from headstart.report import render
from headstart.report.charts import worth_segment
from headstart.report.page import WORDS, Figures, count, p_value, seconds

HOSTILE = '<script>alert("$x_1$ & more")</script>'
LINE = {"family": "baseline", "score": 0.70, "gain": None, "low": None, "high": None, "seconds": 0.02}
DOCUMENT = {
    "schema": 1,
    "verdict": "helps",
    "sentence": "transfer helps: accuracy 0.700 -> 0.783 (+8.3 points); kmm is delivered",
    "gain": {
        "metric": "accuracy",
        "target_only": 0.70,
        "transfer": 0.7831,
        "gain": 0.0831,
        "low": 0.0643,
        "high": 0.1018,
        "how": "5 x 5-fold cross-validation on 212 labelled target rows",
        "rows": 212,
        "verdict": "helps",
        "rows_to_settle": None,
    },
    "choice": "kmm",
    "delivered": "kmm",
    "why": "kmm is shown to help",
    "metric": {"name": "accuracy", "sign": 1, "points": True},
    "tried": [
        {**LINE, "name": "target-only"},
        {**LINE, "name": "coral", "score": 0.671, "gain": -0.029, "low": -0.083, "high": 0.025},
        {**LINE, "name": "kmm", "score": 0.791, "gain": 0.091, "low": 0.071, "high": 0.111, "seconds": 1.29},
    ],
    "left_out": {"regular-transfer": "needs a linear learner, not SVC"},
    "shift": {
        "auc": 0.965,
        "p": 0.001,
        "columns": [
            {
                "column": f"column {i}",
                "kind": "number",
                "size": 0.5,
                "p": 1e-9,
                "q": 1e-8,
                "note": "mean 1 and 2",
            }
            for i in range(60)
        ],
        "labels": {
            "size": 0.384,
            "p": 0.0034,
            "source": {"ill": 0.64, "well": 0.36},
            "target": {"ill": 0.255, "well": 0.745},
        },
        "summary": "a classifier tells source from target with AUC 0.97 (p = 0.001)",
    },
    "curve": {
        "sizes": [10, 20, 40, 80],
        "target_only": [0.61, 0.66, 0.70, 0.79],
        "transfer": [0.72, 0.74, 0.78, 0.80],
        "target_only_sd": [0.02, 0.02, 0.01, 0.01],
        "transfer_sd": [0.01, 0.01, 0.01, 0.01],
        "rows": 40,
        "worth": 34,
        "beyond": False,
        "draws": 5,
        "scored_on": "the test rows not learned from",
        "summary": "worth about 34 labelled rows",
    },
    "steps": {"carry it over": 1.08, "learn the target task": 0.015},
    "domains": {
        "sources": [{"name": "cleveland", "rows": 50000, "labelled": 303}],
        "target": {"name": "hungary", "rows": 294, "labelled": 212},
        "test": None,
        "columns": 60,
        "classes": ["ill", "well"],
    },
    "model": {"method": "KMM", "family": "instance-based", "learner": "SVC", "label": None, "name": "kmm"},
    "settings": {"random_state": 7, "guard": "strict", "curve_draws": 5, "methods": {"kmm": "KMM()"}},
    "versions": {"headstart": "0.1.0", "numpy": "2.4.6"},
    "notes": [],
    "seconds": 33.9,
}
#: Elements that HTML closes by itself.
VOID = {"meta", "link", "br", "img", "input", "hr"}


def document(**changes):
    return copy.deepcopy(DOCUMENT) | changes


def unproven(**changes):
    """Return the document of a target without labels."""
    tried = [{**LINE, "name": "source-only", "seconds": None}, {**LINE, "name": "kmm", "seconds": None}]
    made = document(gain=None, curve=None, tried=tried, verdict="cannot be proven", choice="kmm")
    made["sentence"] = "a gain cannot be proven: hungary has no labelled rows"
    return made | {"why": "chosen without target labels"} | changes


def loss():
    """Return the document of a regression, told as a loss."""
    made = document(metric={"name": "mean squared error", "sign": -1, "points": False})
    for key in ("target_only", "transfer"):
        made["curve"][key] = [-1 / value for value in made["curve"][key]]
    made["gain"] |= {
        "target_only": -123456.0,
        "transfer": -98012.0,
        "gain": 25444.0,
        "low": None,
        "high": None,
    }
    made["tried"][1] |= {"score": None, "gain": None}
    made["tried"][2] |= {"score": -2.5, "gain": 0.5, "low": None, "high": 1e9}
    made["shift"]["labels"] = {"size": 0.3, "p": 0.2, "source": {"mean": 1.25}, "target": {"mean": -2.5}}
    made["domains"]["classes"] = None
    return made


VARIANTS = {
    "helps": document(),
    "hurts": document(verdict="hurts", sentence="transfer hurts: it does", delivered="target-only"),
    "no evidence": document(verdict="no evidence", sentence="no evidence that transfer helps: accuracy"),
    "cannot be proven": unproven(),
    "carried": unproven(shift=None, tried=[], notes=["the rows are not here, so the shift was not measured"]),
    "without curve": document(curve=None),
    "loss": loss(),
    "bare": document(shift=DOCUMENT["shift"] | {"columns": [], "labels": None}, left_out={}, steps={}),
}


@functools.cache
def html_of(name):
    return render(VARIANTS[name])


class Page(HTMLParser):
    """Reads a page: its text, its elements, and whether every tag is closed where it should be."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.words, self.wrong = [], [], [], []
        self.feed(html)
        self.close()
        self.text = re.sub(r"\s+", " ", "".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


@pytest.mark.parametrize("name", VARIANTS)
def test_page_is_well_formed_and_its_ids_are_unique(name):
    page = Page(html_of(name))
    assert not page.wrong
    assert not page.open
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    linked = {attrs["href"] for _, attrs in page.elements if attrs.get("href", "").startswith("#")}
    assert linked <= {f"#{name}" for name in ids}


@pytest.mark.parametrize("name", VARIANTS)
def test_page_refers_to_nothing_outside_itself_and_stays_small(name):
    html = html_of(name)
    for reference in ("http://", "https://", "src=", "@import", "<script", "@font-face", "url(//"):
        assert reference not in html
    assert len(html.encode()) < 300_000


@pytest.mark.parametrize("name", VARIANTS)
def test_page_can_be_read_without_seeing_it(name):
    page = Page(html_of(name))
    tags = [tag for tag, _ in page.elements]
    assert dict(page.elements)["html"]["lang"] == "en"
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))
    assert tags.count("table") == tags.count("caption")
    assert all("scope" in attrs for tag, attrs in page.elements if tag == "th")
    for tag, attrs in page.elements:
        assert tag != "svg" or attrs.get("aria-hidden") == "true" or (attrs["role"] == "img" and attrs["aria-label"])


@pytest.mark.parametrize("name", VARIANTS)
def test_verdict_stands_in_the_page_as_word_and_sentence(name):
    made = VARIANTS[name]
    page = Page(render(made))
    assert WORDS[made["verdict"]] in page.text
    assert made["sentence"] in page.text
    assert made["why"] in page.text


def test_figures_of_the_document_stand_in_the_page():
    text = Page(html_of("helps")).text
    expected = [
        "0.700 → 0.783",  # the score
        "+8.3 points",
        "95% CI +6.4 to +10.2",
        "5 x 5-fold cross-validation on 212 labelled target rows",
        "about 34",  # the worth
        "−8.3 to +2.5",  # coral's interval
        "1.3 s",
        "needs a linear learner, not SVC",
        "AUC 0.97 (p = 0.001)",
        "25.5%",
        "p = 0.003",
        "0.610 ± 0.020",
        "1.1 s",
        "not named",
    ]
    assert [figure for figure in expected if figure not in text] == []


def test_loss_is_shown_as_less_is_better_and_its_gain_as_positive_is_better():
    text = Page(html_of("loss")).text
    for figure in (
        "123 456 → 98 012",
        "less is better",
        "+25 444",
        "positive is better",
        "not bounded",
        "−2.5",
    ):
        assert figure in text


def test_names_from_data_are_escaped_everywhere():
    made = document(choice=HOSTILE, delivered=HOSTILE, why=HOSTILE, sentence=HOSTILE, notes=[HOSTILE])
    made["tried"][2]["name"] = HOSTILE
    made["left_out"] = made["versions"] | {HOSTILE: HOSTILE}
    made["domains"]["sources"][0]["name"] = made["domains"]["target"]["name"] = HOSTILE
    made["shift"]["columns"][0] |= {"column": HOSTILE, "note": HOSTILE}
    made["shift"]["labels"]["source"] = {HOSTILE: 1.0}
    made["model"] |= {HOSTILE: HOSTILE}
    made["settings"] |= {"learner": HOSTILE, "methods": {HOSTILE: HOSTILE}}
    html = render(made)
    assert "<script" not in html
    page = Page(html)
    assert not page.wrong
    assert page.text.count(HOSTILE) > 15


def test_same_document_gives_the_same_bytes_and_is_left_as_it_was():
    made = document()
    assert render(made) == render(document())
    assert made == DOCUMENT


def test_chart_colours_are_the_themes():
    html = html_of("helps")
    charts = re.findall(r'<svg class="(?:wide|narrow)".*?</svg>', html, flags=re.DOTALL)
    assert len(charts) == 4
    for chart in charts:
        assert not re.search(r"#[0-9a-f]{6}\b", chart)
        assert "var(--transfer)" in chart
    assert "DejaVu" not in html


def test_no_chart_is_drawn_where_nothing_was_measured():
    assert '<svg class="wide"' not in html_of("cannot be proven")


def test_shift_that_was_not_measured_is_explained_by_its_note():
    page = Page(html_of("carried"))
    assert "The shift was not measured. Note: the rows are not here" in page.text


def test_worth_is_claimed_only_when_transfer_helps():
    page = Page(html_of("no evidence"))
    assert "Do not count on it" in page.text
    assert "Worth in rows" not in page.text


def test_columns_beyond_the_first_ten_are_folded_away():
    html = html_of("helps")
    first, folded = html[: html.index("<details>")], html[html.index("<details>") :]
    assert "The other 50 columns" in folded
    assert "column 9<" in first
    assert "column 10<" not in first
    assert "column 59<" in folded


def test_matplotlib_settings_are_left_alone():
    import matplotlib as mpl

    before = mpl.rcParams.copy()
    render(document())
    assert mpl.rcParams.copy() == before


def test_charts_need_matplotlib_only_when_drawn_and_never_pyplot():
    code = """
import sys
import headstart.report.charts as charts
assert "matplotlib" not in sys.modules
charts.gain_chart([charts.Interval("kmm", 0.0, 1.0, None, "+1.0")], unit="points", width="wide", label="")
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_worth_segment_lies_on_both_curves():
    sizes = [10, 20, 40, 80]
    curve = {"sizes": sizes, "target_only": [0.6, 0.7, 0.8, 0.9], "transfer": [0.8, 0.85, 0.9, 0.92]}
    assert worth_segment({**curve, "rows": 40, "worth": 40}) == pytest.approx((40, 80, 0.9))
    assert worth_segment({**curve, "rows": 80, "worth": 40}) == pytest.approx((40, 80, 0.9))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (Figures("accuracy", 1, True).gain(-0.026), "−2.6"),
        (Figures("accuracy", 1, True).score(0.004), "0.004"),
        (Figures("log loss", -1, False).score(-0.6931), "0.693"),
        (Figures("mean absolute error", -1, False).score(-12.3456), "12.35"),
        (Figures("mean squared error", -1, False).score(-6012.0), "6012"),
        (Figures("mean squared error", -1, False).gain(-6012.0), "−6012"),
        (Figures("accuracy", 1, True).interval(None, 0.05), "not bounded to +5.0"),
        (Figures("accuracy", 1, True).score(None), "–"),
        (count(None), "–"),
        (p_value(None), "unknown"),
        (seconds(None), "–"),
        (seconds(119.99), "2 min 0 s"),
    ],
)
def test_numbers_are_written_as_a_reader_expects(written, expected):
    assert written == expected
