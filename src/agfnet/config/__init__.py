"""Every setting of every command, documented once: `--help` and the reference come from here.

Frozen dataclasses, no torch. A class per command, and a class per group of settings that
commands share. A field without a default is a positional argument of its command.
"""

from __future__ import annotations

from agfnet.config.checks import check, place
from agfnet.config.data import (
    HOLDOUT,
    CheckConfig,
    DataConfig,
    DeidentifyConfig,
    Frames,
    ImportConfig,
    Kind,
    ModalityConfig,
    Resize,
    Skin,
    SplitConfig,
    default_modalities,
)
from agfnet.config.evaluation import CompareConfig, EvaluateConfig, ExplainConfig, MapMethod
from agfnet.config.inference import (
    Backend,
    BundleActionConfig,
    ExportConfig,
    PredictConfig,
    ServeConfig,
)
from agfnet.config.model import BackboneConfig, FusionConfig, Method, ModelConfig
from agfnet.config.phantom import DemoConfig, PhantomConfig
from agfnet.config.study import RangeConfig, SearchConfig, StudyConfig, StudyFile
from agfnet.config.training import (
    CalibrationConfig,
    LossConfig,
    OptimConfig,
    ReconstructionConfig,
    SetScore,
    TrainConfig,
)

__all__ = [
    "HOLDOUT",
    "BackboneConfig",
    "Backend",
    "BundleActionConfig",
    "CalibrationConfig",
    "CheckConfig",
    "CompareConfig",
    "DataConfig",
    "DeidentifyConfig",
    "DemoConfig",
    "EvaluateConfig",
    "ExplainConfig",
    "ExportConfig",
    "Frames",
    "FusionConfig",
    "ImportConfig",
    "Kind",
    "LossConfig",
    "MapMethod",
    "Method",
    "ModalityConfig",
    "ModelConfig",
    "OptimConfig",
    "PhantomConfig",
    "PredictConfig",
    "RangeConfig",
    "ReconstructionConfig",
    "Resize",
    "SearchConfig",
    "ServeConfig",
    "SetScore",
    "Skin",
    "SplitConfig",
    "StudyConfig",
    "StudyFile",
    "TrainConfig",
    "check",
    "default_modalities",
    "place",
]
