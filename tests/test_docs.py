"""The documentation is true: its examples run, its options are those of the commands, its site builds.

A fence's language says what is done with it:

- `python`: executed. The blocks of one page run in order, share their names, and work in one folder.
- `console`: lines that begin with "$ " are commands (one that ends in a backslash goes on), the others are what
  they print. A block whose output begins with "headstart: " shows a mistake: the command must exit with status 2
  and print just that line. Any other command must exit with status 0, and a verdict that is shown must be its
  verdict; other output is not compared.
- `bash`: a script that must exit with status 0.
- `sh`: not executed, for it installs, copies to another machine, needs data that is not part of the project
  (`bench`), or has a test of its own (`make`, the demo).
- `text`, `json`, `yaml`, `math`: shown only.

Every page begins with the files that the first block of "Getting started" writes. A few pages begin with what
an earlier page wrote: see EARLIER.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar

import pytest
import scipy.linalg  # noqa: F401  (its BLAS must be there to be limited)
from threadpoolctl import threadpool_limits

import headstart
from headstart.cli import run_command

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
COMMANDS = (
    "demo",
    "run",
    "learn",
    "carry",
    "predict",
    "serve",
    "map",
    "align",
    "recommend",
    "classify",
    "export",
    "cache",
    "methods",
    "shift",
    "rank",
    "bench",
)
#: Commands that have commands of their own.
SUBCOMMANDS = {"recommend": ("fit", "top", "evaluate")}
FENCE = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
EXECUTED, SHOWN, NOT_EXECUTED = {"python", "console", "bash"}, {"text", "json", "yaml", "math"}, "sh"
#: What a block that is not executed may begin its lines with.
ELSEWHERE = (
    "make ",
    "pip install ",
    "python -m venv ",
    "scp ",
    "headstart demo",
    "headstart bench",
    "headstart align triples_1",
    "headstart classify elephant.jpg",
    "headstart run photos",
    "headstart rank",
    "headstart shift heart.csv",
    "headstart shift photos",
    "headstart export out/model network.onnx",
    "headstart run books",
    "#",
    "headstart run university",
    "headstart run acm.mat",
    "headstart align triples_1",
    "headstart serve",
    "headstart recommend evaluate books.csv",
    "headstart recommend fit books.csv",
    "headstart recommend top recommender",
    "curl http://127.0.0.1",
)
#: What a page needs that an earlier page wrote.
EARLIER = {
    "carry.md": ["younger.knowledge"],
    "predict.md": ["out"],
    "serve.md": ["out"],
    "files.md": ["out", "younger.knowledge"],
}
VERDICTS = ("no evidence that transfer helps", "transfer helps", "transfer hurts", "a gain cannot be proven")
LIMITS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def fences(page):
    """Return (language, content) of each fenced block of a page."""
    return [(found[2], found[3]) for found in FENCE.finditer(page.read_text(encoding="utf-8"))]


def commands(block):
    """Return (command, lines shown) for each command of a console block."""
    found = []
    lines = iter(block.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command = command[:-1] + next(lines).strip()
            found.append((command, []))
        else:
            found[-1][1].append(line)
    return found


def shell(command, folder):
    """Run a command line in a folder; return status, standard output and standard error.

    A plain `headstart ...` runs in this process, which spares it the imports; what has a pipe or is another
    program runs in bash, with this environment's programs first on the path.
    """
    if command.startswith("headstart ") and not set(command) & set("|<>&;$`"):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run_command(shlex.split(command)[1:])
        return status, out.getvalue(), err.getvalue()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-eu", "-c", command],
        cwd=folder,
        env={**os.environ, **LIMITS, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def run_console(block, folder):
    for command, shown in commands(block):
        status, out, err = shell(command, folder)
        mistakes = [line for line in shown if line.startswith("headstart: ")]
        if mistakes:
            assert (status, err.splitlines()[-1:]) == (2, mistakes), command
            continue
        assert status == 0, f"{command}\n{out}{err}"
        for line in shown:
            words = next((words for words in VERDICTS if line.startswith(words)), "")
            assert f"\n{words}" in f"\n{out}", f"{command}\n{out}"


def run_python(block, names):
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(block, "documentation", "exec"), names)  # noqa: S102


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Keep small products off many threads, which wait for each other where the machine has other work."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, one_thread):
    """The folder that pages begin with, and what earlier pages wrote beside it."""
    folder, earlier = tmp_path_factory.mktemp("docs"), tmp_path_factory.mktemp("earlier")
    with contextlib.chdir(folder):
        run_python(next(block for language, block in fences(DOCS / "getting-started.md") if language == "python"), {})
    younger, older = (headstart.read(folder / f"{name}.csv", label="progression") for name in ("younger", "older"))
    headstart.learn(younger).save(earlier / "younger.knowledge")
    headstart.run(younger, older, methods=["pooled", "coral"], repeats=2).save(earlier / "out")
    return folder, earlier


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_example_of_a_page_runs(page, prepared, tmp_path, monkeypatch):
    begin, earlier = prepared
    shutil.copytree(begin, tmp_path, dirs_exist_ok=True)
    for name in EARLIER.get(page.name, ()):
        (shutil.copytree if (earlier / name).is_dir() else shutil.copy)(earlier / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "documentation"}
    for language, block in fences(page):
        if language == "python":
            run_python(block, names)
        elif language == "console":
            run_console(block, tmp_path)
        elif language == "bash":
            status, out, err = shell(block, tmp_path)
            assert status == 0, f"{block}\n{out}{err}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_only_what_belongs_elsewhere_is_not_executed(page):
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"^ *```", text, re.MULTILINE)) == 2 * len(fences(page)), "a fence without language"
    for language, block in fences(page):
        assert language in EXECUTED | SHOWN | {NOT_EXECUTED}
        if language == NOT_EXECUTED:
            assert all(line.startswith(ELSEWHERE) for line in block.splitlines() if line.strip()), block


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_stands_on_the_page_of_its_command(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for names in [[command, each] for each in SUBCOMMANDS.get(command, ())] or [[command]]:
        assert run_command([*names, "--help"]) == 0
    offered = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*(?= )", "\n".join(option_lines(capsys.readouterr().out))))
    text = (DOCS / "commands" / f"{command}.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `-")]
    told = set(re.findall(r"--?[a-z][a-z-]*", " ".join(rows)))
    assert offered == told


def option_lines(page):
    """Return the first columns of the lines that introduce an option."""
    lines = [line.strip("│ *").ljust(2) for line in page.splitlines()]
    return [re.split(r" <", line)[0] + " " for line in lines if line.startswith("-")]


def test_every_command_has_a_page():
    assert {page.stem for page in (DOCS / "commands").glob("*.md")} == set(COMMANDS)


def test_every_method_is_told_of():
    told = (DOCS / "four-families.md").read_text(encoding="utf-8")
    assert [name for name in headstart.methods().index if f"`{name}`" not in told] == []


def test_relative_links_of_the_readme_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []


class Resources(HTMLParser):
    """What a page loads: scripts, styles, fonts, pictures, frames."""

    LOADED: ClassVar = {
        "script": "src",
        "link": "href",
        "img": "src",
        "iframe": "src",
        "source": "src",
        "object": "data",
    }

    def __init__(self):
        super().__init__()
        self.loaded = []

    def handle_starttag(self, tag, attrs):
        place = dict(attrs).get(self.LOADED.get(tag, ""))
        if place is not None:
            self.loaded.append(place)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built strictly."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_page(site):
    assert [page for page in PAGES[1:] if not (site / page.relative_to(DOCS).with_suffix(".html")).is_file()] == []


def test_the_site_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert pages
    for page in pages:
        resources = Resources()
        resources.feed(page.read_text(encoding="utf-8"))
        assert [place for place in resources.loaded if re.match(r"(https?:)?//", place)] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_formula_of_the_site_is_drawn(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert ":math:" not in text, page
        assert ".. math" not in text, page
        assert "wzxhzdk" not in text, f"{page}: a formula got lost"
    assert '<svg class="formula"' in (site / "gain.html").read_text(encoding="utf-8")
