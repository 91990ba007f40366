"""Links: predicting which constants a relation connects, and how well the true ones rank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from headstart.domain import Domain
from headstart.errors import InputError
from headstart.relations.examples import Examples
from headstart.relations.facts import Facts, Predicate

#: Draws for a corrupted link before it is given up; where nearly everything is linked there may be none.
TRIES = 50


def links_domain(
    facts: Facts,
    predicate: str,
    *,
    share: float = 0.5,
    per_positive: float = 10.0,
    name: str | None = None,
    random_state: int = 0,
) -> Domain:
    """Return a domain to learn a relation from its own links: a share of them are examples, the others stay facts.

    So rules may ask about the relation itself (is it symmetric?), and no example tells its own answer. Negatives are
    examples with one end replaced.

    Parameters
    ----------
    facts : Facts
    predicate : str
        A binary one.
    share : float
        Of its links that become examples, above 0, at most 1.
    per_positive : float
        Negatives for each.
    name : str, optional
    random_state : int

    Raises
    ------
    InputError
        When the predicate is not binary, or the share takes no link.

    Examples
    --------
    >>> facts = Facts.of({"likes": [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")], "person": [(p,) for p in "abcd"]})
    >>> rows = links_domain(facts, "likes", per_positive=2)
    >>> rows.n_labelled, rows.X.facts
    (6, Facts('facts', 6 facts of 2 predicates, 4 constants of 1 types))
    """
    spec = _binary(facts, predicate)
    if not 0 < share <= 1:
        raise InputError(f"share is {share:g}; give the share of links that become examples, above 0, at most 1")
    links = facts.tuples[predicate]
    taken = np.random.default_rng(random_state).permutation(len(links))[: round(share * len(links))]
    if not len(taken):
        raise InputError(f"{facts.name}: {share:g} of {len(links)} links of {predicate} is none; give a larger share")
    rows = links[np.sort(taken)]
    positive = [(facts.names[a], facts.names[b]) for a, b in rows]
    negative = corrupted(facts, predicate, positive, per_positive=per_positive, random_state=random_state)
    kept = np.ones(len(links), dtype=bool)
    kept[taken] = False
    world = Facts(facts.schema, facts.constants, {**facts.tuples, predicate: links[kept]}, facts.kinds, facts.name)
    y = np.concatenate([np.ones(len(positive)), np.zeros(len(negative))])
    examples = Examples(world, spec, _pairs([*positive, *negative]))
    return Domain(examples, y, name or facts.name, "facts", "classification", label=predicate)


def corrupted(
    facts: Facts,
    predicate: str,
    positive: Sequence[Sequence[str]],
    *,
    per_positive: float = 10.0,
    random_state: int = 0,
) -> list[tuple[str, str]]:
    """Return negatives: links with one end, in turn the tail and the head, replaced by another constant of its type.

    What is a fact or an example is not drawn, nor anything twice, so that there are fewer where all is linked.

    Examples
    --------
    >>> facts = Facts.of({"likes": [("a", "b"), ("b", "a")], "person": [("a",), ("b",), ("c",)]})
    >>> sorted(corrupted(facts, "likes", [("a", "b")], per_positive=2))
    [('a', 'c'), ('b', 'b')]
    """
    spec = _binary(facts, predicate)
    rng = np.random.default_rng(random_state)
    pools = [facts.of_kind(kind) for kind in spec.types]
    told = {(facts.names[a], facts.names[b]) for a, b in facts.tuples[predicate]} | {(a, b) for a, b in positive}
    found: dict[tuple[str, str], None] = {}
    for turn in range(round(per_positive * len(positive))):
        a, b = positive[turn % len(positive)]
        end = (turn // len(positive) + 1) % 2
        for _ in range(TRIES):
            other = pools[end][int(rng.integers(len(pools[end])))]
            link = (a, other) if end else (other, b)
            if link not in told and link not in found:
                found[link] = None
                break
    return list(found)


def rank_links(
    model: Any, facts: Facts, predicate: str, heads: Iterable[str], candidates: Iterable[str] | None = None
) -> dict[str, list[tuple[str, float]]]:
    """Return of each head the tails it may be linked to, with their log-odds, the likeliest first.

    Parameters
    ----------
    model : Boosted or RelationalBoosting
        Fitted for the predicate.
    facts : Facts
        The world in which it is asked; its entities need not be those the model was learned from.
    predicate : str
    heads : iterable of str
    candidates : iterable of str, optional
        The tails; without, all constants of the type. Links that are facts are left out.

    Examples
    --------
    >>> from headstart.relations import RelationalBoosting
    >>> friends = [(f"p{i}", f"p{i ^ 1}") for i in range(16)]
    >>> model = RelationalBoosting(n_trees=3)
    >>> rows = links_domain(Facts.of({"friend": friends}), "friend", per_positive=4)
    >>> model = model.fit(rows.X, rows.labels)
    >>> here = Facts.of({"friend": [("ann", "bob"), ("eve", "joe"), ("joe", "eve")]})
    >>> [tail for tail, _ in rank_links(model, here, "friend", ["bob"])["bob"]][0]
    'ann'
    """
    spec = _binary(facts, predicate)
    tails = facts.of_kind(spec.types[1]) if candidates is None else [str(each) for each in candidates]
    told = _told(facts, predicate)
    found = {}
    for head in map(str, heads):
        left = [tail for tail in tails if (head, tail) not in told]
        scores = _scores(model, facts, spec, [(head, tail) for tail in left])
        order = np.argsort(-np.round(scores, 9), kind="stable")
        found[head] = [(left[i], float(scores[i])) for i in order]
    return found


@dataclass(frozen=True, eq=False)
class LinkRanks:
    """At which rank each true link came; among equals in the middle.

    Attributes
    ----------
    ranks : array of shape (n,)

    Examples
    --------
    >>> LinkRanks(np.array([1.0, 2.0, 20.0]))
    LinkRanks(3 queries: MRR 0.517, Hits@1 0.333, Hits@3 0.667, Hits@10 0.667)
    """

    ranks: np.ndarray

    @property
    def mrr(self) -> float:
        """Mean of the reciprocal ranks."""
        return float(np.mean(1 / self.ranks)) if len(self.ranks) else float("nan")

    def hits(self, k: int = 10) -> float:
        """Return the share that came among the first k."""
        return float(np.mean(self.ranks <= k)) if len(self.ranks) else float("nan")

    @classmethod
    def together(cls, parts: Iterable[LinkRanks]) -> LinkRanks:
        """Return the ranks of several relations as one."""
        return cls(np.concatenate([np.zeros(0), *(part.ranks for part in parts)]))

    def __repr__(self) -> str:
        hits = ", ".join(f"Hits@{k} {self.hits(k):.3f}" for k in (1, 3, 10))
        return f"LinkRanks({len(self.ranks):,} queries: MRR {self.mrr:.3f}, {hits})"


def links_evaluation(
    model: Any,
    facts: Facts,
    predicate: str,
    links: Iterable[Sequence[str]],
    *,
    known: Iterable[Sequence[str]] = (),
    replaced: Literal["tail", "head", "both"] = "both",
    candidates: Iterable[str] | None = None,
) -> LinkRanks:
    """Return where true links rank among those with one end replaced, others that are true left out ("filtered").

    Parameters
    ----------
    model : Boosted or RelationalBoosting
    facts : Facts
        What may be asked about; none of the links.
    predicate : str
    links : iterable of (head, tail)
        True ones, to be found again.
    known : iterable of (head, tail)
        Other true ones, besides the facts, which do not count as wrong.
    replaced : {"both", "tail", "head"}
        Which end is asked for: (h, r, ?), (?, r, t), or one after the other.
    candidates : iterable of str, optional
        What an end is replaced by; without, all constants of its type.

    Raises
    ------
    InputError
        When a link is among the facts: it would tell its own answer.

    Examples
    --------
    >>> from headstart.relations import RelationalBoosting
    >>> friends = [(f"p{i}", f"p{i ^ 1}") for i in range(16)]
    >>> rows = links_domain(Facts.of({"friend": friends}), "friend", per_positive=4)
    >>> model = RelationalBoosting(n_trees=3).fit(rows.X, rows.labels)
    >>> here = Facts.of({"friend": [("ann", "bob"), ("eve", "joe"), ("joe", "eve")]})
    >>> links_evaluation(model, here, "friend", [("bob", "ann")])
    LinkRanks(2 queries: MRR 1.000, Hits@1 1.000, Hits@3 1.000, Hits@10 1.000)
    """
    spec = _binary(facts, predicate)
    rows = [(str(a), str(b)) for a, b in links]
    told = _told(facts, predicate)
    if leaked := sorted(told & set(rows)):
        raise InputError(
            f"{facts.name}: {predicate}({', '.join(leaked[0])}) is a fact and a link to find; leave it out of the facts"
        )
    true = told | set(rows) | {(str(a), str(b)) for a, b in known}
    pool = None if candidates is None else [str(each) for each in candidates]
    pools = [facts.of_kind(kind) if pool is None else pool for kind in spec.types]
    found = []
    for end in {"both": (1, 0), "tail": (1,), "head": (0,)}[replaced]:
        for a, b in rows:
            others = [(a, other) if end else (other, b) for other in pools[end]]
            scores = _scores(model, facts, spec, [(a, b), *(link for link in others if link not in true)])
            better, same = (scores[1:] > scores[0] + 1e-9).sum(), (np.abs(scores[1:] - scores[0]) <= 1e-9).sum()
            found.append(1 + better + same / 2)
    return LinkRanks(np.array(found, dtype=float))


def _binary(facts: Facts, predicate: str) -> Predicate:
    spec = facts.predicate(predicate)
    if spec.arity != 2:
        raise InputError(f"{facts.name}: {spec} links nothing; links are of a predicate with two arguments")
    return spec


def _told(facts: Facts, predicate: str) -> set[tuple[str, str]]:
    return {(facts.names[a], facts.names[b]) for a, b in facts.tuples[predicate]}


def _scores(model: Any, facts: Facts, predicate: Predicate, links: Sequence[tuple[str, str]]) -> np.ndarray:
    if not links:
        return np.zeros(0)
    return np.broadcast_to(model.decision_function(Examples(facts, predicate, _pairs(links))), (len(links),))


def _pairs(links: Sequence[tuple[str, str]]) -> np.ndarray:
    found = np.empty((len(links), 2), dtype=object)
    found[:] = links
    return found
