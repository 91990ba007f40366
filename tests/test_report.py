import functools
import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from report_documents import DOCUMENT, VARIANTS, document

from headstart.report import render
from headstart.report.charts import curve_chart, map_panel, worth_segment
from headstart.report.charts.curves import band
from headstart.report.figures import Figures, count, p_value, seconds
from headstart.report.headline import WORDS

HOSTILE = '<script>alert("$x_1$ & more")</script>'
#: Elements that HTML closes by itself.
VOID = {"meta", "link", "br", "img", "input", "hr"}


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
    assert len(html.encode()) < 500_000


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


def test_charts_round_where_points_lie_and_never_what_is_written():
    curve = r'<svg class="wide" role="img" aria-label="Learning.*?</svg>'
    chart = re.search(curve, html_of("everything"), re.DOTALL)[0]
    assert ">0.775<" in chart
    assert not any(re.search(r"\d\.\d{3}", tag) for tag in re.findall(r"<[^>]*>", chart))


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


@pytest.mark.parametrize("name", VARIANTS)
def test_figures_of_the_page_are_no_raw_numbers(name):
    text = Page(html_of(name)).text
    assert not re.search(r"\d\.\d{7}|\bnan\b|\bNone\b(?!\.)|\binf\b", text)
    assert "  " not in text


def test_everything_that_was_measured_stands_in_the_page():
    text = Page(html_of("everything")).text
    expected = [
        "Covariate shift: the rows look different",
        "in 84% of cases",
        "It speaks for instance-based methods, such as kmm, rulsif",
        "What these rows cannot say: what these rows hide",
        "p < 0.001: if the transfer were no use",
        "The effect size is 0.31",
        "between 12 rows and more than was measured",
        "with bands of 95% intervals",
        "shown to help in 1 of 3 parts of the rows (ward: where it helped)",
        "to hurt in 1 (ward: where it hurt)",
        "in the other one these rows cannot tell",
        "too few rows",
        "0.900 → 0.800 in accuracy (−10.0, 95% CI −15.0 to −5.0 points) on 75 source rows",
        "212 labelled rows show a gain of +9.0 points in 80% of such studies",
        "takes about 500 rows",
        "cleveland: shown to help; long beach: shown to hurt; basel: not shown to help or to hurt",
        "Better leave out long beach",
        "It is too sure of itself: it claims to be right in 75% of rows",
        "Its probabilities agree with how often it is right",
        "CORAL brings the domains together",
        "headstart run cleveland.csv",
    ]
    assert [figure for figure in expected if figure not in text] == []


def test_without_labels_the_page_tells_what_was_estimated_and_what_that_rests_on():
    text = Page(html_of("everything without labels")).text
    expected = [
        "0.70 to 0.80",
        "right in 70% to 80% of target rows; on the source it is in 90%",
        "No estimate without target labels can see concept shift",
        "stability (votes)",
        "soft-neighbourhood-density",
        "In the second map, the area of a circle is what the source row counts",
        "the method makes axes of its own",
        "A source label is read as a target label by a line",
    ]
    assert [figure for figure in expected if figure not in text] == []


def test_documents_of_earlier_versions_are_rendered_without_the_sections_they_lack():
    ids = [attrs["id"] for tag, attrs in Page(html_of("helps")).elements if tag == "section"]
    assert ids == ["distance", "methods", "worth", "model"]
    with_all = Page(html_of("everything"))
    ids = [attrs["id"] for tag, attrs in with_all.elements if tag == "section"]
    assert ids == ["distance", "methods", "worth", "carried", "understanding", "model"]
    later = ("slices", "calibration", "forgetting", "estimated", "validation", "understanding", "reproduce", "power")
    later = (*later, "relations")
    assert render(document(**dict.fromkeys(later))) == html_of("helps")


def test_map_tells_domains_apart_without_colour():
    panels = re.findall(r'<svg class="panel".*?</svg>', html_of("everything"), flags=re.DOTALL)
    before, after = (panel for panel in panels if "Map of" in panel)
    for panel in (before, after):
        hollow = len(re.findall(r"<use [^>]*fill-opacity: 0; stroke: var\(--alone\)", panel))
        filled = len(re.findall(r"<use [^>]*fill: var\(--transfer\)", panel))
        assert (hollow, filled) == (150, 120)


def test_weights_of_source_rows_are_areas_of_their_circles():
    import numpy as np

    source, among = [[0.0, 0.0], [1.0, 1.0]], np.array([[0.0, 0.0], [1.0, 1.0]])
    panel = map_panel(source, source, [4.0, 1.0], among=among, name="map", label="")
    # A circle's path runs from its lowest point, one radius below the middle.
    radii = sorted({float(found) for found in re.findall(r'<path id="[^"]*" d="M 0 ([\d.]+)', panel)})
    assert radii[-1] / radii[-2] == pytest.approx(2.0, abs=0.01)


def test_bands_end_where_a_score_can_not_go():
    curve = {"sizes": [10, 20], "rows": 20, "worth": None, "beyond": False}
    for key in ("target_only", "transfer"):
        curve |= {key: [0.9, 0.95], f"{key}_sd": [0.1, 0.1], f"{key}_low": [0.7, 0.8], f"{key}_high": [3.0, 3.0]}
    asked = {"sign": 1, "name": "accuracy", "show_worth": False, "width": "wide", "label": ""}
    free, bounded = curve_chart(curve, **asked), curve_chart(curve, **asked, least=0.0, most=1.0)
    assert ">3.0<" in free
    assert ">3.0<" not in bounded
    assert band(curve, "transfer", -1)[1].tolist() == [-3.0, -3.0]


def test_parts_of_the_rows_are_not_drawn_when_both_models_did_the_same():
    lines = [{**line, "gain": 0.0, "low": 0.0, "high": 0.0, "p": 1.0} for line in VARIANTS["everything"]["slices"]]
    html = render(VARIANTS["everything"] | {"slices": lines})
    assert "both models did the same on every row" in html
    assert "slices-wide" not in html
    assert "slices-wide" in html_of("everything")


def test_reliability_of_target_only_is_shown_once_when_it_is_delivered():
    made = VARIANTS["everything"] | {"delivered": "target-only"}
    panels = re.findall(r'aria-label="Reliability diagram', render(made))
    assert len(panels) == 1


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
charts.gain_chart([charts.Interval("kmm", 0.0, 1.0, None, "+1.0")], axis="points", width="wide", label="")
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


def test_choice_that_did_not_score_best_is_explained():
    changed = document()
    transfers = [line for line in changed["tried"] if not line["name"].startswith("target-only")]
    changed["choice"] = min(transfers, key=lambda line: line["score"])["name"]
    told = "left only for a method that is well ahead"
    assert told in Page(render(changed)).text
    changed["choice"] = max(transfers, key=lambda line: line["score"])["name"]
    assert told not in Page(render(changed)).text
