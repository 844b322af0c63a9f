"""The commands, one file each.

A file holds a function that takes the settings of the command, and `COMMAND`. Heavy imports stay
inside the functions: `agfnet --help` imports every file.
"""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.cli.commands import (
    bundle,
    calibrate,
    check,
    compare,
    completion,
    deidentify,
    demo,
    doctor,
    ensemble,
    evaluate,
    explain,
    export,
    import_,
    phantom,
    predict,
    schema,
    serve,
    split,
    study,
    train,
)

COMMANDS: dict[str, Command] = {
    "doctor": doctor.COMMAND,
    "demo": demo.COMMAND,
    "phantom": phantom.COMMAND,
    "import": import_.COMMAND,
    "deidentify": deidentify.COMMAND,
    "check": check.COMMAND,
    "split": split.COMMAND,
    "train": train.COMMAND,
    "evaluate": evaluate.COMMAND,
    "calibrate": calibrate.COMMAND,
    "ensemble": ensemble.COMMAND,
    "compare": compare.COMMAND,
    "predict": predict.COMMAND,
    "explain": explain.COMMAND,
    "export": export.COMMAND,
    "serve": serve.COMMAND,
    "bundle": bundle.COMMAND,
    "study": study.COMMAND,
    "schema": schema.COMMAND,
    "completion": completion.COMMAND,
}
"""Commands by name, in the order of the help."""
