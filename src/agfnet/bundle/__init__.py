"""The bundle, which is what gets shipped: weights, settings, calibration and card in one folder.

A bundle holds no pickle. SHA256SUMS lists its files, and a change of several files takes place as a
whole (see `agfnet.files.staged_files`).
"""

from agfnet.bundle.calibration import (
    Abstention,
    Calibration,
    Evaluated,
    Familiarity,
    OperatingPoint,
    PredictionSets,
    Rate,
)
from agfnet.bundle.config import SCHEMA, BundleConfig
from agfnet.bundle.files import (
    EVALUATIONS,
    EXPORT,
    EXPORTS,
    NEEDED,
    WEIGHTS,
    Bundle,
    check_weights,
    describe,
    parse,
    read_bundle,
    read_cards,
    read_config,
    read_json,
    read_tests,
    replace_cards,
    write_bundle,
    write_calibration,
)
from agfnet.bundle.similar import SIMILAR, SimilarIndex, read_similar, write_similar

__all__ = [
    "EVALUATIONS",
    "EXPORT",
    "EXPORTS",
    "NEEDED",
    "SCHEMA",
    "SIMILAR",
    "WEIGHTS",
    "Abstention",
    "Bundle",
    "BundleConfig",
    "Calibration",
    "Evaluated",
    "Familiarity",
    "OperatingPoint",
    "PredictionSets",
    "Rate",
    "SimilarIndex",
    "check_weights",
    "describe",
    "parse",
    "read_bundle",
    "read_cards",
    "read_config",
    "read_json",
    "read_similar",
    "read_tests",
    "replace_cards",
    "write_bundle",
    "write_calibration",
    "write_similar",
]
