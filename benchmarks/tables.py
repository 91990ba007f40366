"""Make the tables of docs/benchmarks.md, relations.md and recommendation.md from what was measured (results/*.json)."""

import json
from pathlib import Path

HERE = Path(__file__).parent
PAGES = [HERE.parent / "docs" / f"{name}.md" for name in ("benchmarks", "relations", "recommendation")]

#: The columns of a published table that was done again.
PUBLISHED = {
    "trial": ("line", "{}"),
    "mean": ("ours, mean", "{:.3g}"),
    "printed_mean": ("print", "{:.1f}"),
    "difference": ("difference", "{:+.1f}"),
    "tasks_within_sd": ("tasks within 1 sd", "{}"),
    "gain": ("over no transfer", "{0[0]:+.2g} ({0[1]:+.2g} to {0[2]:+.2g})"),
    "tasks": ("ours, task by task", "{0}"),
    "settings": ("settings", "{}"),
    "seconds": ("seconds", "{:.1f}"),
}

ERROR = ("mean error of f", "{:.4f}")
#: Of a dictionary, names and numbers, or counts.
NAMED, COUNTED = "named", "counted"
POINTS = "{0[0]:.1f} ({0[1]:.1f} to {0[2]:.1f})"
#: A mean with its interval in thousandths, and a difference; three figures beside each other; so many of so many.
THOUSANDTHS, CHANGE = "{0[0]:.3f} ({0[1]:.3f} to {0[2]:.3f})", "{0[0]:+.3f} ({0[1]:+.3f} to {0[2]:+.3f})"
AREA, AREA_CHANGE = "{0[0]:.4f} ({0[1]:.4f} to {0[2]:.4f})", "{0[0]:+.4f} ({0[1]:+.4f} to {0[2]:+.4f})"
THREE, SHARE = "{0[0]:.3f} / {0[1]:.3f} / {0[2]:.3f}", "{0[0]} of {0[1]}"
ACCURACY, DIFFERENCE = "{0[0]:.1f} ({0[1]:.1f} to {0[2]:.1f})", "{0[0]:+.1f} ({0[1]:+.1f} to {0[2]:+.1f})"


def of_models(labels, unit, form):
    """Return the columns of a table of strategies, by number of labels."""
    names = {"data": ("data", "{}"), "model": ("model", "{}"), "strategy": ("strategy", "{}")}
    whole = {"all": ("all of them", form)} if form == DIFFERENCE else {}
    return names | {str(n): (f"{n} {unit}", form) for n in labels} | whole


COLUMNS = {
    **{
        f"{file} {part}": of_models(labels, unit, DIFFERENCE if "over" in part else ACCURACY)
        for file, labels, unit in (
            ("models_office", (1, 3, 5, 10, 20), "a class"),
            ("models_pacs", (1, 3, 5, 10, 20), "a class"),
            ("models_texts", (8, 32, 128, 512), "labels"),
            ("models_reviews", (8, 32, 128, 512), "labels"),
        )
        for part in (
            "inside",
            "outside",
            "inside over fine-tune",
            "outside over fine-tune",
            "inside over linear-probe",
            "outside over linear-probe",
        )
    },
    **{
        part: {
            "rule": ("choice", "{}"),
            "regret": ("regret", POINTS),
            "of_draw": ("to the best of each draw", "{0[0]:.1f}"),
            "honest": ("to an honest oracle", "{0[0]:.1f}"),
            "over_single": ("over the best single method", DIFFERENCE),
            "of_data": ("by data set", NAMED),
        }
        for labels in (3, 0)
        for part in (f"choice {labels} labels", f"choice_apart {labels} labels, kept apart")
    },
    "guard": {
        "cases": ("cases", "{}"),
        "guard": ("guard", "{}"),
        "n": ("cases", "{}"),
        "change": ("over target-only, points", DIFFERENCE),
        "much_worse": ("worse by more than 3", "{:.0%}"),
        "worst": ("worst", "{:+.1f}"),
        "helping": ("transfers that help by more than 3", "{}"),
        "delivered_of_helping": ("of these delivered", "{}"),
    },
    **{
        f"ranking {part}": {
            "order": ("ordered by", "{}"),
            "regret": ("regret, points", POINTS),
            "over": ("over the default's", DIFFERENCE),
            "tau": ("weighted tau", "{0[0]:.2f} ({0[1]:.2f} to {0[2]:.2f})"),
            "first": ("best is first, %", "{0[0]:.0f}"),
            "among_three": ("among three, %", "{0[0]:.0f}"),
        }
        for part in (
            "reported, probe",
            "settling, probe",
            "fresh, 3 a class, probe",
            "fresh, 30 a class, probe",
        )
    },
    "relations mapping": {
        "direction": ("direction", "{}"),
        "method": ("method", "{}"),
        "auc_roc": ("AUC-ROC", THOUSANDTHS),
        "auc_pr": ("AUC-PR", THOUSANDTHS),
        "cll": ("CLL", THOUSANDTHS),
        "printed": ("published", THREE),
        "seconds_mapping": ("seconds: mapping", "{:.2f}"),
        "seconds_learning": ("learning", "{:.2f}"),
        "cpu_seconds": ("both, of the processor", "{:.2f}"),
        "printed_seconds": ("published", "{:.1f}"),
        "taken": ("taken, of five folds", COUNTED),
    },
    "relations curve": {
        "direction": ("direction", "{}"),
        "positives": ("positives", "{}"),
        "method": ("method", "{}"),
        "scratch_auc_pr": ("AUC-PR of scratch", "{:.3f}"),
        "over_auc_pr": ("over scratch: AUC-PR", CHANGE),
        "over_auc_roc": ("AUC-ROC", CHANGE),
        "over_cll": ("CLL", CHANGE),
        "harmed": ("CLL worse by more than .01", SHARE),
    },
    "relations wrong": {
        "source": ("source", "{}"),
        "positives": ("positives", "{}"),
        "method": ("method", "{}"),
        "over_cll": ("over scratch: CLL", CHANGE),
        "over_auc_pr": ("AUC-PR", CHANGE),
        "over_auc_roc": ("AUC-ROC", CHANGE),
        "harmed": ("worse", SHARE),
        "worst_cll": ("worst", "{:+.3f}"),
        "took_scratch": ("scratch taken", SHARE),
    },
    **{
        f"recommend {part}": {
            "direction": ("direction", "{}"),
            "method": ("method", "{}"),
            "sampled mrr": ("among 999: MRR", THOUSANDTHS),
            "sampled hr": ("HR@10", THOUSANDTHS),
            "sampled ndcg": ("NDCG@10", THOUSANDTHS),
            "full ndcg": ("among all: NDCG@10", THOUSANDTHS),
            "seconds": ("seconds", "{:.0f}"),
        }
        for part in ("cold", "warm")
    },
    **{
        f"recommend {part}, gain": {
            "direction": ("direction", "{}"),
            "over": ("over", "{}"),
            "sampled mrr": ("among 999: MRR", CHANGE),
            "sampled hr": ("HR@10", CHANGE),
            "sampled ndcg": ("NDCG@10", CHANGE),
            "full ndcg": ("among all: NDCG@10", CHANGE),
        }
        for part in ("cold", "warm")
    },
    "recommend scenarios": {
        "cutting": ("scenarios by", "{}"),
        "scenario": ("scenario", "{}"),
        "method": ("chosen", "{}"),
        "auc": ("AUC", AREA),
        "over_pooled": ("over pooled", AREA_CHANGE),
        "over_told": ("over pooled, told", AREA_CHANGE),
        "over_separate": ("over separate", AREA_CHANGE),
    },
    "recommend scenarios, all parts": {
        "cutting": ("scenarios by", "{}"),
        "scenario": ("scenario", "{}"),
        "method": ("chosen", "{}"),
        "over_pooled": ("over pooled", AREA_CHANGE),
        "over_separate": ("over separate", AREA_CHANGE),
    },
    "recommend kinds": {
        "cutting": ("scenarios by", "{}"),
        "method": ("kind", "{}"),
        "choice": ("on the part for choosing", "{:.4f}"),
        "auc": ("AUC, mean of the scenarios", AREA),
        "over_pooled": ("over pooled", AREA_CHANGE),
        "seconds": ("CPU seconds", "{:.0f}"),
    },
    "recommend signal": {
        "cutting": ("scenarios by", "{}"),
        "units": ("shuffled among", "{}"),
        "gain": ("log-likelihood per 1,000 rows", "{:+.2f}"),
        "shuffled_mean": ("shuffled, mean", "{:+.2f}"),
        "shuffled_sd": ("sd", "{:.2f}"),
        "sds": ("sds away", "{:.1f}"),
        "auc_gain": ("AUC", "{:+.4f}"),
        "auc_shuffled": ("shuffled, mean", "{:+.4f}"),
        "p": ("p", "{:.3f}"),
    },
    "recommend_speed": {
        "what": ("what", "{}"),
        "interactions": ("interactions", "{:,}"),
        "users": ("users", "{:,}"),
        "items": ("items", "{:,}"),
        "factors": ("numbers a vector", "{}"),
        "median_seconds": ("seconds (median)", "{:.3f}"),
        "median_processor_seconds": ("of the processors", "{:.3f}"),
    },
    "serve": {
        "when": ("when", "{}"),
        "asked": ("requests", "{:,}"),
        "wrong": ("wrong answers", "{}"),
        "answered_per_second": ("a second", "{:.0f}"),
        "p50_ms": ("p50, ms", "{:.0f}"),
        "p95_ms": ("p95", "{:.0f}"),
        "p99_ms": ("p99", "{:.0f}"),
    },
    "transferability_speed": {
        "score": ("score", "{}"),
        "shared": ("CPU seconds, factorisation shared", "{:.2f}"),
        "alone": ("alone", "{:.2f}"),
    },
    "verdict_coverage": {
        "task": ("task", "{}"),
        "cosine": ("cosine", "{}"),
        "labelled_rows": ("labelled rows", "{}"),
        "coverage": ("holds the expected gain", "{:.1%}"),
        "coverage_of_these_models": ("the gain of these models", "{:.1%}"),
        "coverage_plain_t": ("plain t", "{:.1%}"),
        "coverage_nadeau_bengio": ("Nadeau-Bengio", "{:.1%}"),
        "said_to_help": ("said to help", "{:.1%}"),
    },
    "choice_null": {
        "held_out": ("held out", "{}"),
        "units": ("rows or users", "{}"),
        "transfers": ("transfers", "{}"),
        "shared": ("shared by transfers", "{:.0%}"),
        "helps": ("said to help", "{:.1%}"),
        "hurts": ("said to hurt", "{:.1%}"),
    },
    "estimated_accuracy": {
        "method": ("method", "{}"),
        "estimate": ("estimate", "{}"),
        "mean": ("mean", "{:.2f}"),
        "off": ("off by, in the mean", "{:.2f}"),
        "accuracy": ("true", "{:.2f}"),
        "cases": ("cases", "{}"),
        "within": ("true one within the range", "{:.0%}"),
        "width": ("width of the range", "{:.2f}"),
    },
    "shift_errors uniform": {
        "name": ("test", "{}"),
        "kolmogorov_smirnov_p": ("uniform? KS p", "{:.2g}"),
        "at_most_0.05": ("share at or below .05", "{:.3f}"),
    },
    "shift_errors diagnosis": {
        "kind": ("shift", "{}"),
        "rows": ("rows of each domain", "{:,}"),
        "columns": ("columns", "{}"),
        "size": ("size", "{}"),
        "repeats": ("repetitions", "{}"),
        "said": ("said", NAMED),
    },
    "features_per_second": {
        "what": ("what", "{}"),
        "items": ("items", "{:,}"),
        "plain_per_second": ("plain loop, a second", "{:.0f}"),
        "ours_per_second": ("ours, a second", "{:.0f}"),
        "times_faster": ("times as many", "{:.1f}"),
        "first_run_seconds": ("first run, seconds", "{:.1f}"),
        "from_cache_seconds": ("from the cache, seconds", "{:.2f}"),
        "cache_share_of_first": ("share of the first", "{:.2%}"),
    },
    "mapping turn": {
        "anchors": ("anchors", "{}"),
        "median error of f": ("median error of f", "{:.3f}"),
        "g right": ("g right", "{}"),
        "confidence where right": ("confidence where right", "{}"),
        "confidence where wrong": ("where wrong", "{}"),
        "seconds": ("seconds (median)", "{:.1f}"),
    },
    "mapping pairs": {"f": ("f", "{}"), "pairs": ("pairs", "{}"), ERROR[0]: ERROR, "g right": ("g right", "{}")},
    "mapping bures": {
        "rows": ("rows", "{:,}"),
        "mean error": ("mean error", "{:.4f}"),
        "error x sqrt(rows)": ("times the root of the rows", "{:.2f}"),
    },
    "mapping snare": {
        "anchors": ("anchors", "{}"),
        "f": ("f", "{}"),
        "FOSCTTM": ("FOSCTTM", "{:.3f}"),
        "worst draw": ("worst draw", "{:.3f}"),
        "accuracy of types": ("accuracy of cell types", "{:.3f}"),
        "confidence": ("confidence", "{:.2f}"),
        "draws": ("draws", "{}"),
        "seconds": ("seconds (median)", "{:.1f}"),
    },
    "mapping_speed": {
        "rows": ("rows of each domain", "{:,}"),
        "method": ("method", "{}"),
        "cell": ("by", "{}"),
        "seconds": ("seconds", "{:.1f}"),
        "times_ours": ("times ours", "{:.1f}"),
        "mib": ("memory, MiB more", "{:.0f}"),
        "peak_mib": ("peak, MiB", "{:.0f}"),
        "error": ("error of f", "{:.3f}"),
        "failed": ("", "{}"),
    },
    "heterogeneous": {
        "data": ("data", "{}"),
        "labels": ("labels a class", "{}"),
        "learner": ("learner", "{}"),
        "method": ("method", "{}"),
        "accuracy": ("accuracy, %", "{:.1f}"),
        "over_target_only": ("over target-only (95% CI)", "{0[0]:+.1f} ({0[1]:+.1f} to {0[2]:+.1f})"),
        "draws_worse": ("draws worse", "{}"),
        "draws": ("of", "{}"),
        "seconds": ("seconds", "{:.2f}"),
    },
    "instances_speed": {
        "rows": ("rows of each domain", "{:,}"),
        "method": ("method", "{}"),
        "cell": ("by", "{}"),
        "seconds": ("seconds", "{:.2f}"),
        "times_ours": ("times ours", "{:.1f}"),
        "mib": ("memory, MiB more", "{:.0f}"),
        "peak_mib": ("peak, MiB", "{:.0f}"),
        "error": ("error of the weights", "{:.3g}"),
        "failed": ("", "{}"),
    },
    "instances_approximations": {
        "columns": ("columns", "{}"),
        "method": ("method", "{}"),
        "shortcut": ("with", "{}"),
        "instead_of": ("instead of", "{}"),
        "error_exact": ("error, exact", "{:.3g}"),
        "error": ("error", "{:.3g}"),
        "difference": ("difference from the exact weights", "{:.2g}"),
        "objective_lost": ("objective lost", "{:.1e}"),
    },
    "instances": {
        "data": ("data", "{}"),
        "method": ("method", "{}"),
        "score": ("score", "{:.3f}"),
        "over_target_only": ("over target-only", "{0[0]:+.3f} ({0[1]:+.3f} to {0[2]:+.3f})"),
        "over_source_only": ("over source-only", "{0[0]:+.3f} ({0[1]:+.3f} to {0[2]:+.3f})"),
        "units_worse_than_target_only": ("worse than target-only", "{}"),
        "units": ("of", "{}"),
        "seconds": ("seconds", "{:.2f}"),
    },
    "features_speed": {
        "rows": ("rows of each domain", "{:,}"),
        "method": ("method", "{}"),
        "cell": ("by", "{}"),
        "seconds": ("seconds", "{:.3f}"),
        "times_ours": ("times ours", "{:.1f}"),
        "mib": ("memory, MiB more", "{:.0f}"),
        "peak_mib": ("peak, MiB", "{:.0f}"),
        "accuracy": ("accuracy left", "{:.3f}"),
        "failed": ("", "{}"),
    },
    "features_approximations": {
        "task": ("task", "{}"),
        "method": ("method", "{}"),
        "shortcut": ("with", "{}"),
        "logistic_exact": ("logistic, exact", "{:.3f}"),
        "logistic": ("logistic", "{:.3f}"),
        "nearest_exact": ("nearest neighbour, exact", "{:.3f}"),
        "nearest": ("nearest neighbour", "{:.3f}"),
        "itself_exact": ("itself, exact", "{:.3f}"),
        "itself": ("itself", "{:.3f}"),
    },
    **{f"features_{table}": PUBLISHED for table in ("office", "office_sampled", "digits", "reviews", "corn")},
    "kmm_speed": {
        "rows": ("rows of each domain", "{:,}"),
        "columns": ("columns", "{}"),
        "median_seconds": ("seconds (median)", "{:.2f}"),
        "relative_gap": ("duality gap / objective", "{:.0e}"),
        "rows_in_use": ("rows with weight", "{:,}"),
    },
    "hospitals_40": {
        "source": ("source", "{}"),
        "target": ("target", "{}"),
        "choice": ("best transfer", "{}"),
        "target_only": ("target-only", "{:.3f}"),
        "gain": ("gain", "{:+.3f}"),
        "low": ("from", "{:+.3f}"),
        "high": ("to", "{:+.3f}"),
        "verdict": ("verdict", "{}"),
    },
}


def table(name):
    """Return a benchmark's lines as a Markdown table, with how it was run; "file part" names one of several tables."""
    file, _, part = name.partition(" ")
    document = json.loads((HERE / "results" / f"{file}.json").read_text(encoding="utf-8"))
    columns = COLUMNS[name]
    rows = [[title for title, _ in columns.values()], ["---"] * len(columns)]
    rows += [
        ["" if line.get(key) is None else cell(line[key], form) for key, (_, form) in columns.items()]
        for line in lines_of(document[part or "lines"])
    ]
    how = (
        f"`{document['command']}`, {document['date']}, {document['machine']['cores']} cores, "
        f"OMP_NUM_THREADS={document['machine']['threads']}, headstart {document['versions']['headstart']}, "
        f"scikit-learn {document['versions']['scikit-learn']}."
    )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + f"\n\n{how}\n"


def lines_of(found):
    """Return a list of lines; of a dictionary of these, each with its name."""
    return [{"name": name, **line} for name, line in found.items()] if isinstance(found, dict) else found


def cell(value, form):
    """Return what stands in a cell; of a dictionary, its numbers."""
    if form == COUNTED:
        return ", ".join(f"{name} {number}" for name, number in sorted(value.items()))
    if form == NAMED:
        return ", ".join(f"{name} {number:.2g}" for name, number in sorted(value.items()))
    if isinstance(value, dict):
        return " ".join(f"{number:.3g}" for number in value.values())
    return form.format(value).replace("|", "\\|").replace("\n", " ")


def with_tables(text):
    """Return the page with every table made anew between its marks."""
    for name in COLUMNS:
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if start in text:
            before, rest = text.split(start)
            text = f"{before}{start}\n{table(name)}\n{end}{rest.split(end)[1]}"
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
