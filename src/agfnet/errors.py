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

import errno
from collections.abc import Iterator
from contextlib import contextmanager

EXTRAS = {
    **dict.fromkeys(["torch", "torchvision", "timm", "lightning"], "train"),
    "matplotlib": "report",
    "huggingface_hub": "hub",
    "sklearn": "sklearn",
    **dict.fromkeys(["onnx", "onnxscript"], "export"),
    "onnxruntime": "onnx",
}
"""Package to the extra that installs it; others report theirs themselves."""


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


DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of errors of the operating system: no space left, or no more allowed to this user."""
SYSTEM_CURES = {
    **dict.fromkeys(DISK_FULL, "free space there, or write to another disk"),
    **dict.fromkeys(
        [errno.EACCES, errno.EPERM], "check who may write there, or name another place"
    ),
    errno.EROFS: "name a folder that can be written",
    **dict.fromkeys([errno.ENOTDIR, errno.EEXIST], "a folder is needed where a file is; move it"),
    errno.EISDIR: "a file is needed where a folder is; move it",
    errno.ENAMETOOLONG: "give it a shorter name",
}
"""Number of an error of the operating system to its solution."""


def system_message(error: OSError) -> str:
    """Return an error of the operating system in one line, with the solution where it is known."""
    cure = SYSTEM_CURES.get(error.errno or 0)
    return f"{error.filename or 'file'}: {error.strerror or error}{f'; {cure}' if cure else ''}"


def missing_package(error: ModuleNotFoundError, extra: str = "") -> str:
    """Return which package is missing and what to install.

    Args:
        error: The error of the import.
        extra: Extra that is needed in any case.
    """
    extra = extra or EXTRAS.get(str(error.name).partition(".")[0], "")
    name = f"'agfnet[{extra}]'" if extra else "agfnet"
    return f"the package {error.name} is missing; run `pip install {name}`, which installs it"


@contextmanager
def naming_extras() -> Iterator[None]:
    """Add to the error of an import what to install.

    Raises:
        ModuleNotFoundError: A package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(missing_package(error), name=error.name) from error
