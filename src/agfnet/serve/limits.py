"""The limits of a request."""

from __future__ import annotations

from dataclasses import dataclass, fields

from agfnet.config import ServeConfig


@dataclass(frozen=True)
class Limits:
    """Largest values that a request may have: settings of `ServeConfig`, under the same names."""

    request_mb: int
    files: int
    megapixels: float
    frames: int
    batch_mb: int
    batch_unpacked_mb: int
    batch_files: int

    @classmethod
    def of(cls, config: ServeConfig) -> Limits:
        """Take the limits from the settings."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})
