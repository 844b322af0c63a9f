"""Write the network as an ONNX graph."""

from __future__ import annotations

from agfnet.cli.command import Command
from agfnet.config import ExportConfig
from agfnet.terminal import bar, say


def export(config: ExportConfig) -> None:
    with bar("exporting") as progress:
        from agfnet.export.run import export_run

        folder, report = export_run(config, progress=progress)
    fp32 = report["fp32"]
    say(
        f"Wrote {folder / 'model.onnx'}: probabilities differ from torch by at most"
        f" {fp32['probabilities']:.1e} on {fp32['rows']} rows."
    )
    if int8 := report.get("int8"):
        say(
            f"Wrote {folder / 'model_int8.onnx'}: balanced accuracy {int8['balanced_accuracy']:.3f}"
            f" (fp32 {int8['balanced_accuracy_fp32']:.3f}), the same answer in"
            f" {100 * int8['agreement']:.1f} % of {int8['cases']} validation cases."
        )


COMMAND = Command(
    ExportConfig,
    export,
    examples=(
        "agfnet export runs/first",
        "agfnet export runs/first --int8",
    ),
    docs="export.md",
    extra="export",
)
