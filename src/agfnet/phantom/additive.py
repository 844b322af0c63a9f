"""The limit of additive methods: the best accuracy that a sum of scores can reach.

An additive method gives each class a score a(class, photograph) + b(class, ultrasound) and answers
with the class of the highest score. Concatenated features with a linear head, added features with
a linear head, and averages of probabilities, log-probabilities or logits are all of this kind.

If the phenotypes are independent given the class, the log-posterior is itself such a sum, and
additive methods lose nothing. They do if a class depends on a combination. Let class c show the
phenotypes (p, q) and (r, s), and class k show (p, s) and (r, q). All four answers right would need

    a(c, p) + b(c, q) > a(k, p) + b(k, q)        a(k, p) + b(k, s) > a(c, p) + b(c, s)
    a(c, r) + b(c, s) > a(k, r) + b(k, s)        a(k, r) + b(k, q) > a(c, r) + b(c, q),

whose sum is 0 > 0. At least one of the four is wrong, whatever the scores.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array

Array = NDArray[np.float64]
Cell = tuple[int, int, int]  # class, symbol of the photograph, symbol of the ultrasound
Cut = tuple[list[int], int]  # cells by number, and how many of them can be right together


class Scores(NamedTuple):
    """Scores of an additive method."""

    photo: Array  # (C, P)
    scan: Array  # (C, Q)


def additive_limit(joint: Array) -> float:
    """Return the best accuracy of an additive method; see `best_scores`."""
    return best_scores(joint)[0]


def best_scores(joint: Array) -> tuple[float, Scores]:
    """Return the best accuracy of an additive method, and scores that reach it.

    Which cells are right is an integer program: the largest mass of cells with one class for each
    pair of symbols. Scores that make the chosen cells right are a linear program. If there are
    none, its dual solution names cells that cannot all be right. This becomes a constraint of the
    integer program, which is solved again. The value is exact, because every constraint holds for
    all additive methods and the last solution has scores.

    Args:
        joint: P(class, symbol of the photograph, symbol of the ultrasound), (C, P, Q).

    Returns:
        The accuracy and the scores.
    """
    cells: list[Cell] = [(int(c), int(p), int(q)) for c, p, q in np.argwhere(joint > 0)]
    mass = joint[joint > 0]  # the order of argwhere
    cuts = _one_class_each(cells) + _exchanges(cells)
    while True:
        right = _largest(mass, cuts)
        solution = _separate([cells[i] for i in right], joint.shape)
        if isinstance(solution, Scores):
            return float(mass[right].sum()), solution
        cuts.append(([right[i] for i in solution], len(solution) - 1))


def _one_class_each(cells: list[Cell]) -> list[Cut]:
    """Each pair of symbols has one answer."""
    groups = defaultdict(list)
    for i, (_, p, q) in enumerate(cells):
        groups[p, q].append(i)
    return [(group, 1) for group in groups.values()]


def _exchanges(cells: list[Cell]) -> list[Cut]:
    """Of four cells as in the head of this file, three can be right."""
    index = {cell: i for i, cell in enumerate(cells)}
    shown = defaultdict(list)
    for c, p, q in cells:
        shown[c].append((p, q))
    cuts: list[Cut] = []
    for c, k in combinations(shown, 2):
        for (p, q), (r, s) in combinations(shown[c], 2):
            crossed = index.get((k, p, s)), index.get((k, r, q))
            if p != r and q != s and crossed[0] is not None and crossed[1] is not None:
                cuts.append(([index[c, p, q], index[c, r, s], crossed[0], crossed[1]], 3))
    return cuts


def _largest(mass: Array, cuts: list[Cut]) -> list[int]:
    """Return the cells of the largest mass that break no constraint."""
    rows = np.repeat(np.arange(len(cuts)), [len(cells) for cells, _ in cuts])
    columns = np.concatenate([cells for cells, _ in cuts])
    matrix = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(cuts), len(mass)))
    result = milp(
        -mass,
        integrality=np.ones(len(mass)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(matrix, ub=[most for _, most in cuts]),
        options={"mip_rel_gap": 0},
    )
    if not result.success:
        raise RuntimeError(f"the integer program was not solved: {result.message}")
    return [int(i) for i in np.flatnonzero(result.x > 0.5)]


def _separate(right: list[Cell], shape: tuple[int, ...]) -> Scores | list[int]:
    """Return scores that make all of the cells right, or which cells cannot be right together.

    The scores a (C, P) and b (C, Q) and a margin are the variables. In each cell, the score of the
    class exceeds that of every other class by the margin, which is 1 if there are such scores and
    0 otherwise.
    """
    classes, photos, scans = shape
    b, margin = classes * photos, classes * (photos + scans)  # first columns
    columns, owners = [], []
    for i, (c, p, q) in enumerate(right):
        for k in range(classes):
            if k != c:
                a_k, a_c = k * photos + p, c * photos + p
                columns.append((a_k, b + k * scans + q, margin, a_c, b + c * scans + q))
                owners.append(i)
    rows = np.repeat(np.arange(len(columns)), 5)
    values = np.tile([1.0, 1.0, 1.0, -1.0, -1.0], len(columns))
    matrix = csr_array((values, (rows, np.ravel(columns))), shape=(len(columns), margin + 1))
    cost = np.zeros(margin + 1)
    cost[margin] = -1
    result = linprog(
        cost,
        A_ub=matrix,
        b_ub=np.zeros(len(columns)),
        bounds=[(None, None)] * margin + [(None, 1)],
        method="highs-ds",
    )
    if not result.success:
        raise RuntimeError(f"the linear program was not solved: {result.message}")
    if result.x[margin] > 0.5:
        photo, scan = result.x[:b], result.x[b:margin]
        return Scores(photo.reshape(classes, photos), scan.reshape(classes, scans))
    active = np.flatnonzero(result.ineqlin.marginals < -1e-9)
    return sorted({owners[i] for i in active})
