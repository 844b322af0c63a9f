"""Make a cases table from a spreadsheet, a folder or a public data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agfnet.cli.command import Command
from agfnet.config import ImportConfig, default_modalities
from agfnet.terminal import say, show_table

if TYPE_CHECKING:
    from agfnet.importing.common import ImportReport

ROWS_SHOWN = 5


def import_(config: ImportConfig) -> None:
    if config.dataset == "table" or config.labels is not None:
        _import_table(config)
    else:
        _show(_import(config))


def _import(config: ImportConfig) -> ImportReport:
    from agfnet.importing.derm7pt import import_derm7pt
    from agfnet.importing.folder import import_folder
    from agfnet.importing.milk10k import import_milk10k
    from agfnet.importing.public import import_busi, import_ham10000, import_isic, import_pad_ufes

    if config.dataset == "folder":
        modalities = config.modalities or list(default_modalities())
        return import_folder(config.source, config.out, modalities=modalities, layout=config.layout)
    importers = {
        "derm7pt": import_derm7pt,
        "milk10k": import_milk10k,
        "ham10000": import_ham10000,
        "isic": import_isic,
        "pad_ufes_20": import_pad_ufes,
        "busi": import_busi,
    }
    return importers[config.dataset](config.source, config.out)


def _import_table(config: ImportConfig) -> None:
    from agfnet.files import write_text
    from agfnet.importing.common import write_report
    from agfnet.importing.folder import layout_levels
    from agfnet.importing.preview import preview
    from agfnet.importing.table import plan_table

    spreadsheet, root = config.source, config.root
    if config.labels is not None:
        spreadsheet, root = config.labels, config.source
    modalities = config.modalities or list(default_modalities())
    plan = plan_table(
        spreadsheet,
        root=root,
        sheet=config.sheet,
        columns=config.columns,
        files=config.files,
        modalities=modalities,
        levels=layout_levels(config.layout),
    )
    out = Path(config.out)
    show_table(["what", "column"], [list(row) for row in plan.columns], Path(spreadsheet).name)
    for rule in plan.rules:
        say(f"Files: {rule}")
    rows = [
        [case.lesion_id, case.patient_id, case.label, *(_names(p) for p in case.images.values())]
        for case in plan.cases[:ROWS_SHOWN]
    ]
    head = ["lesion_id", "patient_id", "label", *plan.modalities]
    show_table(head, rows, f"{len(rows)} of {len(plan.cases)} lesions")
    if config.yes:
        _show(write_report(plan.cases, out, modalities=plan.modalities, notes=plan.notes))
    else:
        for note in plan.notes:
            say(f"Note: {note}.")
    path = out / "import.html"
    out.mkdir(parents=True, exist_ok=True)
    write_text(path, preview(plan, f"Import of {Path(spreadsheet).name}"))
    say(f"Page with thumbnails: {path}")
    if not config.yes:
        say(f"Nothing is imported yet. If this is right, add --yes to write {out / 'cases.csv'}")


def _names(paths: tuple[Path, ...]) -> str:
    return (
        f"{paths[0].name} (+{len(paths) - 1})"
        if len(paths) > 1
        else "".join(path.name for path in paths)
    )


def _show(report: ImportReport) -> None:
    show_table(["label", "cases"], list(report.labels.items()), f"{report.cases} lesions")
    for note in report.notes:
        say(f"Note: {note}.")
    say(f"Wrote {report.table}, modalities {', '.join(report.modalities)}")


COMMAND = Command(
    ImportConfig,
    import_,
    examples=(
        "agfnet import table labels.csv data --root photos_and_scans",
        "agfnet import table labels.xlsx data --root scans --yes",
        "agfnet import folder photos_and_scans data",
        "agfnet import milk10k DOWNLOAD data",
    ),
    docs="import.md",
    default_out=".",
)
