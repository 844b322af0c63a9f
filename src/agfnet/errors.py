"""The one hierarchy of errors. Every message says what, where, what was expected, and the mend."""

from __future__ import annotations


class AgfnetError(Exception):
    """Base of every error that the user can mend. Its text is shown without a traceback."""


class ConfigError(AgfnetError):
    """The settings contradict each other or name something that does not exist."""


class DataError(AgfnetError):
    """A problem in the user's data.

    Several problems may be gathered in one error, one line each, to mend a table in one go.
    """


class ImageError(DataError):
    """An image file is missing, unreadable, truncated or of an unsupported kind."""


class BundleError(AgfnetError):
    """A model folder is incomplete, damaged, of a newer schema, or not a bundle at all."""


class RunError(AgfnetError):
    """A run folder is missing, already taken, or was made with other settings."""
