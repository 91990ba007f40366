"""What importing costs: no framework, nothing heavy."""

import importlib
import subprocess
import sys

HEAVY = (
    "torch",
    "tensorflow",
    "keras",
    "transformers",
    "ot",
    "matplotlib",
    "skrub",
    "ray",
    "sklearn",
    "pandas",
)


def loaded_by(code):
    program = f"{code}\nimport sys\nprint(' '.join(m for m in {HEAVY} if m in sys.modules))"
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()


def test_importing_headstart_loads_nothing_heavy():
    assert loaded_by("import headstart") == []


def test_help_loads_nothing_heavy():
    assert loaded_by("from headstart.cli import run_command\nrun_command(['--version'])")[2:] == []


def test_a_run_loads_no_framework():
    code = (
        "import numpy as np, headstart\n"
        "X = np.random.default_rng(0).normal(size=(80, 2)); y = (X[:, 0] > 0).astype(int)\n"
        "a, b = headstart.Domain(X[:50], y[:50], 'a'), headstart.Domain(X[50:], y[50:], 'b')\n"
        "headstart.run(a, b, repeats=1, curve_draws=0)"
    )
    assert not {"torch", "tensorflow", "keras", "transformers", "skrub", "ray"} & set(loaded_by(code))


def test_every_name_of_the_face_is_there():
    import headstart

    for name in headstart.__all__:
        assert getattr(headstart, name) is not None


def test_importing_every_method_switches_no_option_of_scikit_learn_and_no_global_seed():
    code = (
        "import numpy as np, sklearn\n"
        "options, state = sklearn.get_config(), repr(np.random.get_state())\n"
        "from headstart.catalogue import ENTRIES\n"
        "made = [entry.load()() for entry in ENTRIES]\n"
        "assert sklearn.get_config() == options and repr(np.random.get_state()) == state"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_all_that_a_family_says_it_has_is_there():
    for family in ("baselines", "instances", "features", "models"):
        package = importlib.import_module(f"headstart.{family}")
        assert all(hasattr(package, name) for name in package.__all__)
