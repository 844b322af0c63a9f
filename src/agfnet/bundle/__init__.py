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
    read_config,
    read_json,
    read_tests,
    replace_card,
    write_bundle,
    write_calibration,
)

__all__ = [
    "EVALUATIONS",
    "EXPORT",
    "EXPORTS",
    "NEEDED",
    "SCHEMA",
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
    "check_weights",
    "describe",
    "parse",
    "read_bundle",
    "read_config",
    "read_json",
    "read_tests",
    "replace_card",
    "write_bundle",
    "write_calibration",
]
