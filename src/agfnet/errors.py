"""Errors with a cause and a solution that the user can act on; shown without a traceback.

AgfnetError
├── ConfigError      settings (exit code 2; others 1)
├── DataError        tables and images
│   └── ImageError   one image file
├── BundleError      a bundle
└── RunError         a run folder
    └── StoppedError a training that a signal ended, to be continued (exit code 75)
"""

from __future__ import annotations


class AgfnetError(Exception):
    """Base of all errors of the package."""


class ConfigError(AgfnetError):
    """The settings contradict each other or name something that does not exist."""


class DataError(AgfnetError):
    """A problem in the user's data; several problems of a table have one line each."""


class ImageError(DataError):
    """An image file is missing, unreadable, truncated or of an unsupported type."""


class BundleError(AgfnetError):
    """A bundle is incomplete, damaged or of a newer schema, or the folder is not a bundle."""


class RunError(AgfnetError):
    """A run folder is missing, in use, or was made with other settings."""


class StoppedError(RunError):
    """A scheduler's signal stopped a training, which continues with `--resume`."""
