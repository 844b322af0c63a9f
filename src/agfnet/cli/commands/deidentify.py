"""Copy a data set without names and identifying metadata."""

from __future__ import annotations

from agfnet.cli.command import CASES_COLUMNS, Command
from agfnet.config import DeidentifyConfig
from agfnet.terminal import bar, say


def deidentify(config: DeidentifyConfig) -> None:
    from agfnet.deidentify.copy import deidentify as copy_without_names

    with bar("copying") as progress:
        report = copy_without_names(config, progress=progress)
    if report.dropped:
        say(f"Columns left out: {', '.join(report.dropped)}. Keep them with --keep, if harmless.")
    if report.burned_in:
        say("Identifying text is burnt into the pixels of these files, as they say themselves:")
        say("\n".join(f"  {path}" for path in report.burned_in))
    say(
        "Pixels were not changed: look for names, faces and jewellery in them, and in labels and "
        "columns that you kept."
    )
    say(f"Wrote {config.out}: {report.files} files. Keep apart: {config.mapping}, {report.key}")


COMMAND = Command(
    DeidentifyConfig,
    deidentify,
    examples=(
        "agfnet deidentify cases.csv out --mapping ../secret/mapping.csv",
        "agfnet deidentify scans out --mapping ../secret/mapping.csv",
    ),
    docs="data.md",
    columns=CASES_COLUMNS,
)
