"""Make a cases table from a folder or a public data set."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import ImportConfig, default_modalities
from agfnet.terminal import say, show_table


def import_(config: ImportConfig) -> None:
    from agfnet.importing.derm7pt import import_derm7pt
    from agfnet.importing.folder import import_folder
    from agfnet.importing.milk10k import import_milk10k

    if config.dataset == "folder":
        modalities = config.modalities or list(default_modalities())
        report = import_folder(config.source, config.out, modalities=modalities)
    elif config.dataset == "derm7pt":
        report = import_derm7pt(config.source, config.out)
    else:
        report = import_milk10k(config.source, config.out)
    show_table(["label", "cases"], list(report.labels.items()), f"{report.cases} lesions")
    for note in report.notes:
        say(f"Note: {note}.")
    say(f"Wrote {report.table}, modalities {', '.join(report.modalities)}")


COMMAND = Command(
    ImportConfig,
    import_,
    examples=(
        "agfnet import folder photos_and_scans data",
        "agfnet import milk10k DOWNLOAD data",
    ),
    docs="data.md",
)
