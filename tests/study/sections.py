"""Sections of results with numbers that are made up."""

import math

from agfnet.study.results import Cell, Section

METHODS = ("AGFnet", "late_fusion & co", "100% | $x$")
MANY = ("AGFnet", *(f"without part number {number} of the method" for number in range(25)))
NAMES = {"late_fusion & co": "Late fusion"}


METRICS = ("macro_auc", "nll")
ALL = (*METRICS, "accuracy", "balanced_accuracy", "ece", "aurc", "brier")


def section(
    p: float = 0.01,
    seeds: int = 3,
    metrics: tuple[str, ...] = METRICS,
    methods: tuple[str, ...] = METHODS,
) -> Section:
    cells = {
        (method, metric): Cell(
            method=method,
            metric=metric,
            seeds=seeds,
            value=0.8 - 0.1 * number,
            sd=0.01,
            low=0.7,
            high=0.9,
            rank=number + 1.0,
            difference=-0.1 * number if number else math.nan,
            difference_low=-0.2,
            difference_high=0.1,
            p=p if number else math.nan,
            p_holm=p if number else math.nan,
            p_networks=math.nan,
        )
        for number, method in enumerate(methods)
        for metric in metrics
    }
    return Section(
        setting="half",
        table="test",
        reference="AGFnet",
        methods=methods,
        metrics=metrics,
        cells=cells,
        friedman=dict.fromkeys(metrics, 0.03) | {"nll": math.nan},
        runs=9,
        patients=40,
        cases=60,
        names=NAMES,
    )
