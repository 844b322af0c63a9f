"""Statistics without one patient at a time, from which `seeds.over_seeds` takes their variance.

For small test sets the jackknife has three advantages over a bootstrap: its variance is not too
small on average (Efron and Stein, Annals of Statistics 9:586-596, 1981), nothing is random, and the
influence of every patient is known, and with it the degrees of freedom of the variance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from agfnet.metrics.metric import Floats, K, Statistics


def leave_patients_out(
    patients: Sequence[str], statistics: Statistics[K], *, max_groups: int = 1000
) -> tuple[Floats, Floats]:
    """Return the statistics (K,) of all cases, and (G, K) without each group of patients.

    Args:
        patients: (N,), patient of each case; all cases of a patient are left out together.
        statistics: function from case weights (N,) to K statistics by name.
        max_groups: each patient is a group; with more patients than this, equally many form one.
    """
    values = list(statistics(np.ones(len(patients))).values())
    rows = [list(statistics(w).values()) for w in weights_without(patients, max_groups)]
    return np.array(values, dtype=np.float64), np.array(rows).reshape(len(rows), len(values))


def weights_without(patients: Sequence[str], max_groups: int) -> Iterator[Floats]:
    """Weights (N,) of the cases, 0 for the patients of one group and 1 for the others, by group.

    There is no group with fewer than two patients: the only patient says nothing about others.
    Groups are drawn at random, always the same for the same patients.
    """
    names, patient = np.unique(np.array(patients, dtype=str), return_inverse=True)
    if len(names) < 2:
        return
    size = -(-len(names) // max_groups)
    drawn = np.random.default_rng(0).permutation(len(names)) if size > 1 else np.arange(len(names))
    group = (drawn // size)[patient]
    for number in range(group.max() + 1):
        yield (group != number).astype(np.float64)
