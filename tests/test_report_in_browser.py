"""The report as a reader meets it: in a real browser, on a phone, in the dark, by keyboard, read aloud, on paper."""

import itertools
import json

import pytest
from browser import CHROMIUM, Browser
from report_documents import VARIANTS

from headstart import run
from headstart.report import render

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

MADE_UP = ("everything", "everything without labels", "loss", "hurts")
REAL = "a real run"
PAGES = (*MADE_UP, REAL)
PHONE, PAPER = 375, 688
OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"

#: Text whose contrast with what lies behind it is below 4.5, as [text, contrast]; of charts, the colour is the fill.
FAINT = """
(() => {
  const channel = v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 };
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const read = text => { const c = text.match(/[\\d.]+/g).map(Number); return c.length < 4 ? [...c, 1] : c };
  const over = (top, below) => [0, 1, 2].map(i => top[3] * top[i] + (1 - top[3]) * below[i]);
  const behind = node => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(read(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const faint = [];
  for (const node of document.body.querySelectorAll('*')) {
    const text = [...node.childNodes].filter(each => each.nodeType === 3).map(each => each.data.trim()).join('');
    if (!text || !node.checkVisibility() || node.tagName === 'STYLE') continue;
    const style = getComputedStyle(node), below = behind(node);
    const color = over(read(node instanceof SVGElement ? style.fill : style.color), below);
    const [a, b] = [light(color), light(below)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push([text, (a + 0.05) / (b + 0.05)]);
  }
  return faint;
})()
"""
#: What sticks out of the page at either side although no region around it scrolls.
STICKS_OUT = """
[...document.body.querySelectorAll('*')]
  .filter(each => each.checkVisibility()
    && (each.getBoundingClientRect().right > innerWidth + 0.5 || each.getBoundingClientRect().left < -0.5)
    && !(each.closest('.scroll') && getComputedStyle(each.closest('.scroll')).overflowX === 'auto'))
  .map(each => each.outerHTML.slice(0, 120))
"""
#: Numbers everything that the keyboard should reach, and tells how many there are.
NUMBERED = """
(() => {
  const wanted = [...document.querySelectorAll('a[href], summary, [tabindex="0"]')]
    .filter(each => each.checkVisibility());
  wanted.forEach((each, i) => each.dataset.stop = i);
  return wanted.length;
})()
"""
#: The number of what has the focus, and how wide the line around it is.
FOCUS = """
(() => {
  const style = getComputedStyle(document.activeElement);
  const seen = style.outlineStyle !== 'none' && style.outlineColor !== getComputedStyle(document.body).backgroundColor;
  return [document.activeElement.dataset.stop ?? null, seen ? parseFloat(style.outlineWidth) : 0];
})()
"""
#: Regions that scroll, and are none of those that were numbered.
SCROLLS_UNREACHED = """
[...document.querySelectorAll('body *')]
  .filter(each => each.checkVisibility() && /auto|scroll/.test(getComputedStyle(each).overflowX)
    && each.scrollWidth > each.clientWidth + 1 && each.dataset.stop === undefined)
  .map(each => each.outerHTML.slice(0, 120))
"""
#: Every piece of text that one can see, in the order of the page; charts come in two widths, of which one is shown.
SEEN = """
[...document.querySelectorAll('main *, header *, footer *')]
  .filter(each => each.checkVisibility() && each.getClientRects().length && !each.closest('nav, svg'))
  .flatMap(each => [...each.childNodes].filter(node => node.nodeType === 3).map(node => node.data.trim()))
  .filter(text => text)
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory, helpful):
    """Return the path of each page."""
    folder = tmp_path_factory.mktemp("reports")
    paths = {name: folder / f"{name}.html" for name in MADE_UP}
    for name, path in paths.items():
        path.write_text(render(VARIANTS[name]), encoding="utf-8")
    source, target, test = helpful
    few = {"methods": ["pooled", "coral"], "repeats": 1, "curve_draws": 2}
    result = run(source.rows(range(100)), target, test=test.rows(range(40)), **few)
    paths[REAL] = folder / "run.html"
    paths[REAL].write_text(render(json.loads(result.json())), encoding="utf-8")
    return paths


def complaints(browser):
    """Return what the console was told, and where requests went, other than to the page itself."""
    browser.run("new Promise(done => setTimeout(done, 30))")
    told = [event for name in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
            for event in browser.of(name)]  # fmt: skip
    asked = [event["request"]["url"] for event in browser.of("Network.requestWillBeSent")]
    return told, [url for url in asked[1:] if not url.startswith("data:")]


def test_browser_notices_what_a_page_must_not_do(browser, tmp_path):
    # The checks below can fail: this page has a script, a picture from elsewhere, and faint text that sticks out.
    path = tmp_path / "bad.html"
    path.write_text(
        "<!DOCTYPE html><html><meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src "
        "'unsafe-inline'\"><script>1</script><img src='https://headstart.invalid/x.png'>"
        "<p style='color:#999;background:#fff;width:2000px'>faint</p><h3 tabindex=0 style='outline:none'>first</h3>"
    )
    browser.open(path, width=PHONE)
    told, asked = complaints(browser)
    assert len(told) == 2
    assert asked == ["https://headstart.invalid/x.png"]
    assert browser.run(FAINT) == [["faint", pytest.approx(2.85, abs=0.01)]]
    assert len(browser.run(STICKS_OUT)) == 1
    browser.run(NUMBERED)
    browser.press("Tab")
    assert browser.run(FOCUS) == ["0", 0]


@pytest.mark.parametrize("name", PAGES)
def test_page_says_nothing_in_the_console_and_asks_the_network_for_nothing(browser, pages, name):
    browser.open(pages[name])
    assert complaints(browser) == ([], [])
    assert browser.run("document.compatMode") == "CSS1Compat"


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_only_tables_scroll_sideways_and_each_in_its_own_region(browser, pages, name):
    browser.open(pages[name], width=PHONE, height=700)
    browser.run(OPEN_ALL)
    assert browser.run("document.documentElement.scrollWidth") <= PHONE
    assert browser.run(STICKS_OUT) == []
    wide = "[...document.querySelectorAll('.scroll')].some(each => each.scrollWidth > each.clientWidth)"
    assert browser.run(wide)
    shown = "[...document.querySelectorAll('svg.wide')].some(each => each.checkVisibility())"
    assert not browser.run(shown)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_text_stands_out_from_what_lies_behind_it(browser, pages, name, scheme):
    browser.open(pages[name], scheme=scheme)
    browser.run(OPEN_ALL)
    assert browser.run(FAINT) == []
    dark = browser.run("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


@pytest.mark.parametrize("name", ["everything", REAL])
def test_keyboard_reaches_links_details_and_what_scrolls_in_order_and_shows_where_it_is(browser, pages, name):
    browser.open(pages[name], width=PHONE, height=700)
    browser.run(OPEN_ALL)
    stops = browser.run(NUMBERED)
    assert stops > 10
    assert browser.run(SCROLLS_UNREACHED) == []
    reached = []
    for _ in range(stops):
        browser.press("Tab")
        at, line = browser.run(FOCUS)
        assert line >= 2, at
        reached.append(at)
    assert reached == [str(i) for i in range(stops)]


def test_keyboard_opens_details(browser, pages):
    browser.open(pages["everything"])
    browser.run("document.querySelector('summary').focus()")
    browser.press("Enter")
    assert browser.run("document.querySelector('details').open")


@pytest.mark.parametrize("name", PAGES)
def test_screen_reader_is_told_what_is_what(browser, pages, name):
    browser.open(pages[name])
    browser.run(OPEN_ALL)
    tree = browser.tree()
    roles = [role for role, _, _ in tree]
    assert browser.run("document.documentElement.lang") == "en"
    levels = [properties["level"] for role, _, properties in tree if role == "heading"]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))
    for landmark in ("main", "navigation", "banner", "contentinfo"):
        assert roles.count(landmark) == 1, landmark
    for kind in ("image", "img", "region", "table", "link", "heading"):
        assert all(said for role, said, _ in tree if role == kind), kind
    regions = [said for role, said, _ in tree if role == "region"]
    assert len(regions) == len(set(regions))
    assert roles.count("table") == browser.run("document.querySelectorAll('table').length")
    assert roles.count("rowheader") > 3
    assert browser.run("[...document.querySelectorAll('th')].every(each => each.scope)")


@pytest.mark.parametrize("name", ["everything", REAL])
def test_paper_shows_all_that_the_screen_does_and_nothing_is_cut_off(browser, pages, name):
    browser.open(pages[name])
    browser.run(OPEN_ALL)
    on_screen = browser.run(SEEN)
    browser.open(pages[name], width=PAPER, media="print", scheme="dark")
    assert browser.run(SEEN) == on_screen
    assert browser.run("document.documentElement.scrollWidth") <= PAPER
    assert browser.run(FAINT) == []
    assert browser.pdf().startswith(b"%PDF")
