"""Settings of all commands, documented once: `--help` and the checks of ranges come from here.

Frozen dataclasses without torch: one class per command, and one per group of settings that commands
share. A field without a default is a positional argument of its command.
"""

from __future__ import annotations

from agfnet.config.data import (
    HOLDOUT,
    CheckConfig,
    DataConfig,
    DeidentifyConfig,
    DiagnosisConfig,
    DoctorConfig,
    Frames,
    ImportConfig,
    ModalityConfig,
    ModalityType,
    Resize,
    SkinSurface,
    SplitConfig,
    default_modalities,
    default_modality,
    names_ultrasound,
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
from agfnet.config.printed import CompletionConfig, SchemaConfig
from agfnet.config.ranges import (
    Range,
    Settings,
    format_duration,
    parse_duration,
    parse_shard,
    range_of,
)
from agfnet.config.study import RangeConfig, SearchConfig, StudyConfig, StudyFile
from agfnet.config.training import (
    CalibrateConfig,
    CalibrationConfig,
    EnsembleConfig,
    FitConfig,
    LossConfig,
    OptimConfig,
    Preset,
    ReconstructionConfig,
    SetScore,
    TrainCommand,
    TrainConfig,
)

__all__ = [
    "HOLDOUT",
    "BackboneConfig",
    "Backend",
    "BundleActionConfig",
    "CalibrateConfig",
    "CalibrationConfig",
    "CheckConfig",
    "CompareConfig",
    "CompletionConfig",
    "DataConfig",
    "DeidentifyConfig",
    "DemoConfig",
    "DiagnosisConfig",
    "DoctorConfig",
    "EnsembleConfig",
    "EvaluateConfig",
    "ExplainConfig",
    "ExportConfig",
    "FitConfig",
    "Frames",
    "FusionConfig",
    "ImportConfig",
    "LossConfig",
    "MapMethod",
    "Method",
    "ModalityConfig",
    "ModalityType",
    "ModelConfig",
    "OptimConfig",
    "PhantomConfig",
    "PredictConfig",
    "Preset",
    "Range",
    "RangeConfig",
    "ReconstructionConfig",
    "Resize",
    "SchemaConfig",
    "SearchConfig",
    "ServeConfig",
    "SetScore",
    "Settings",
    "SkinSurface",
    "SplitConfig",
    "StudyConfig",
    "StudyFile",
    "TrainCommand",
    "TrainConfig",
    "default_modalities",
    "default_modality",
    "format_duration",
    "names_ultrasound",
    "parse_duration",
    "parse_shard",
    "range_of",
]
