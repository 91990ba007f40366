"""Is there anything for a model of many scenarios to find on MovieLens-100k? Scenarios against shuffled ones."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from headstart.bench.asked import Shown
from headstart.recommend.shuffled_scenarios import scenario_evidence

#: Cutting: the column of those that its scenarios are shuffled among, and their name in the table.
UNITS = {"genre": ("item_id", "films"), "age": ("user_id", "users"), "occupation": ("user_id", "users")}
SHUFFLES, NETWORKS = 200, 2


@dataclass(frozen=True)
class Signal:
    """What `scenario_evidence` found of one cutting, on all rows, and the seconds of the processor that it took."""

    cutting: str
    units: int
    gain: float
    shuffled: list[float]
    p: float
    auc_gain: float
    auc_shuffled: list[float]
    by_scenario: dict[str, float]
    seconds: float

    @property
    def figures(self) -> dict[str, Any]:
        """What of it is written into the results."""
        mean, sd = float(np.mean(self.shuffled)), float(np.std(self.shuffled, ddof=1))
        return {
            "units": f"{self.units:,} {UNITS[self.cutting][1]}",
            "gain": round(self.gain, 4),
            "shuffled_mean": round(mean, 4),
            "shuffled_sd": round(sd, 4),
            "sds": round((self.gain - mean) / sd, 2),
            "auc_gain": round(self.auc_gain, 5),
            "auc_shuffled": round(float(np.mean(self.auc_shuffled)), 5),
            "by_scenario": {name: round(gain, 5) for name, gain in self.by_scenario.items()},
            "p": round(self.p, 4),
            "seconds": self.seconds,
        }


def signal_of(table: pd.DataFrame, cutting: str, columns: Sequence[str]) -> Signal:
    """Return what is found of a cutting, from these columns.

    Parameters
    ----------
    table : DataFrame
        As from `headstart.bench.scenarios.movielens`.
    """
    started = time.process_time()
    found = scenario_evidence(
        table[[*columns, cutting]],
        (table["rating"] >= 4).to_numpy(int),
        cutting,
        unit=table[UNITS[cutting][0]].to_numpy(),
        n_shuffles=SHUFFLES,
        n_networks=NETWORKS,
    )
    return Signal(
        cutting,
        found.units,
        found.gain,
        found.shuffled.tolist(),
        found.p,
        found.auc_gain,
        found.auc_shuffled.tolist(),
        found.by_scenario,
        round(time.process_time() - started, 1),
    )


def signal_lines(cuttings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a line a cutting."""
    return [{"cutting": cutting, **of["evidence"]} for cutting, of in cuttings.items()]


def signal_table(cuttings: Mapping[str, Any]) -> Shown:
    """Return the table of what the scenarios gain, and shuffled ones."""
    rows = [
        [
            line["cutting"],
            line["units"],
            *(f"{line[name]:+.2f}" for name in ("gain", "shuffled_mean")),
            *(f"{line[name]:.2f}" for name in ("shuffled_sd", "sds")),
            *(f"{line[name]:+.4f}" for name in ("auc_gain", "auc_shuffled")),
            f"{line['p']:.3f}",
            f"{line['seconds']:.0f}",
        ]
        for line in signal_lines(cuttings)
    ]
    columns = ("scenarios", "shuffled among", "log-likelihood per 1,000", "shuffled, mean", "sd", "sds away")
    return Shown("MovieLens: is there anything to find?", (*columns, "AUC", "shuffled, mean", "p", "s"), rows)
