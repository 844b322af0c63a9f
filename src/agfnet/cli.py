"""The command line: one thin function per command; heavy imports stay inside them.

Exit codes: 0 done, 1 the data or the model has problems (listed), 2 wrong use.
"""

from __future__ import annotations

import json
import re
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, DefaultHelpFormatter, set_parsing_settings

from agfnet import NOTICE, __version__
from agfnet.config import (
    BundleActionConfig,
    CheckConfig,
    CompareConfig,
    DeidentifyConfig,
    DemoConfig,
    EvaluateConfig,
    ExplainConfig,
    ExportConfig,
    ImportConfig,
    PhantomConfig,
    PredictConfig,
    ServeConfig,
    SplitConfig,
    StudyConfig,
    TrainConfig,
    default_modalities,
    format_duration,
    range_of,
)
from agfnet.config.renamed import update, update_arguments
from agfnet.config.settings_file import read_yaml
from agfnet.errors import AgfnetError, ConfigError, DataError
from agfnet.terminal import bar, say, show_comparison, show_result, show_table, warn

DESCRIPTION = f"""Skin lesion diagnosis from a clinical photograph and skin ultrasound.
{NOTICE}

First steps:  agfnet demo
Own data:     agfnet split cases.csv data.csv
              agfnet train --data.cases data.csv
              agfnet predict runs/agfnet --images.clinical a.jpg --images.ultrasound b.png
"""


def demo(config: DemoConfig) -> None:
    from agfnet.demo import run_demo

    run_demo(config)


def phantom(config: PhantomConfig) -> None:
    from agfnet.phantom.cohort import make_cohort

    with bar("rendering lesions") as progress:
        table = make_cohort(config, progress=progress)
    say(f"Wrote {table}")


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


def check(config: CheckConfig) -> None:
    from agfnet.check.report import report_lines
    from agfnet.check.run import check_cases
    from agfnet.files import write_json

    with bar("reading images") as progress:
        checked = check_cases(config, progress=progress)
    for line in report_lines(checked):
        say(line)
    if config.json is not None:
        write_json(Path(config.json), checked.as_json())
        say(f"Wrote {config.json}")
    counts = checked.counts()
    if counts["error"] or (config.strict and counts["warning"]):
        raise DataError(f"{config.cases}: {checked.summary()}")


def split(config: SplitConfig) -> None:
    from agfnet.data.folds import FOLD, centre_names, rare_labels, split_table
    from agfnet.data.table import find_modalities, read_cases, write_cases

    modalities = config.modalities or find_modalities(config.cases)
    cases = split_table(read_cases(config.cases, modalities=modalities), config)
    write_cases(cases, config.out, modalities=modalities)
    if cases[0].split:
        show_split(cases, "split")
    else:
        show_split(cases, FOLD, centre_names(cases, config.centre) if config.centre else ())
        if rare := ", ".join(f"{name} ({count})" for name, count in rare_labels(cases).items()):
            say(
                f"Note: labels with fewer patients than folds: {rare}. A fold that tests all "
                "patients of a label cannot learn it: leave it out with --data.labels."
            )
    say(f"Wrote {config.out}")


def show_split(cases: Sequence[Any], column: str, centres: Sequence[str] = ()) -> None:
    from agfnet.data.splits import split_summary

    rows = [
        *split_summary(cases, column=column),
        *split_summary([replace(case, label="all") for case in cases], column=column),
    ]
    counts: dict[str, list[str]] = {}
    for row in rows:
        counts.setdefault(row.label, []).append(f"{row.cases} ({row.patients})")
    parts = dict.fromkeys(row.split for row in rows)
    names = [f"{part} {centres[int(part)]}" for part in parts] if centres else list(parts)
    show_table([column, *names], [[label, *cells] for label, cells in counts.items()])
    say("Cases, and patients in brackets.")


def train(config: TrainConfig) -> None:
    from agfnet.bundle import read_bundle
    from agfnet.calibration.fit import calibration_warnings
    from agfnet.study.run import run

    with bar("evaluating") as progress:
        folder = run(config, progress=progress)
    bundle = read_bundle(folder)
    for line in calibration_warnings(bundle.calibration, bundle.config.classes):
        say(f"Note: {line}")
    result = folder / "evaluation" / "test"
    if result.is_dir():
        show_result(result)
    else:
        say(f"Wrote {folder / 'bundle'}. The table has no test split, so nothing was evaluated.")


def evaluate(config: EvaluateConfig) -> None:
    from agfnet.report.run import run_evaluation

    with bar("evaluating") as progress:
        folder = run_evaluation(config, progress=progress)
    show_result(folder)


def compare(config: CompareConfig) -> None:
    from agfnet.report.run import run_comparison

    show_comparison(run_comparison(config))


def predict(config: PredictConfig) -> None:
    from agfnet.inference.predictor import Predictor

    predictor = Predictor.load(config.model, backend=config.backend)
    if config.cases is not None:
        predict_table(config, predictor)
    else:
        predict_lesion(config, predictor)


def predict_table(config: PredictConfig, predictor: Any) -> None:
    from agfnet.inference import table

    with bar("predicting") as progress:
        answered = table.predict_table(config, predictor, progress=progress)
    files, answers = answered.files, answered.lesions - answered.skipped
    if answered.resumed:
        say(f"Went on after {answered.resumed} lesions that were dealt with before.")
    say(f"Wrote {files.predictions}: {answers} lesions, and {files.frames}: their frames. {NOTICE}")
    if answered.skipped:
        raise DataError(
            f"{files.problems}: names {answered.skipped} lesions that were left out, with their"
            " images; correct them, and predict these lesions again"
        )


def predict_lesion(config: PredictConfig, predictor: Any) -> None:
    from agfnet.data.table import JOIN
    from agfnet.inference.figure import save_picture
    from agfnet.inference.wording import sentence, warning_sentences

    images = {
        name: tuple(Path(path) for path in cell.split(JOIN) if path)
        for name, cell in (config.images or {}).items()
    }
    diagnosis = predictor.diagnose(images)
    classes = predictor.bundle.config.classes
    missing = [name for name in predictor.bundle.config.modalities if not images.get(name)]
    say(sentence(classes, diagnosis))
    for text in warning_sentences(classes, diagnosis):
        say(text)
    if missing:
        say(f"Without {' and '.join(missing)}: the answer rests on the other images alone.")
    if (count := len(diagnosis.frames)) > 1:
        agree = int((diagnosis.frames.argmax(axis=1) == diagnosis.probabilities.argmax()).sum())
        say(f"The average of {count} frames; {agree} of them give this answer by themselves.")
    ranked = sorted(zip(classes, diagnosis.probabilities, strict=True), key=lambda x: -x[1])
    show_table(["class", "probability"], [[name, f"{p:.3f}"] for name, p in ranked])
    if config.picture is not None:
        from agfnet.data.readers import read_image

        pixels = {name: read_image(paths[0]).pixels for name, paths in images.items() if paths}
        letters = save_picture(config.picture, classes=classes, diagnosis=diagnosis, images=pixels)
        if letters:
            say(
                f"No installed font has the letters {letters}: they are boxes in the picture."
                " Install a font that has them, such as Noto Sans CJK."
            )
        say(f"Wrote {config.picture}")
    say(NOTICE)


def explain(config: ExplainConfig) -> None:
    from agfnet.explain.compute.methods import CHECKS, METHODS
    from agfnet.explain.run import explain as explain_model

    with bar("explaining") as progress:
        result = explain_model(config, progress=progress)
    for line in result.missing:
        say(f"Not drawn: {line}.")
    if result.failed is None:
        say("The maps of this network have not been checked; --sanity checks them.")
    for method, checks in (result.failed or {}).items():
        if checks:
            texts = "; ".join(CHECKS[check].text for check in checks)
            say(f"{METHODS[method].title} is not reliable on this network: {texts}.")
    lesions = "1 lesion" if result.cases == 1 else f"{result.cases} lesions"
    say(f"Wrote {result.folder}: {lesions}. {NOTICE}")


def study(config: StudyConfig) -> None:
    if config.init is not None:
        from agfnet.study.init import init_study

        timed = init_study(config.init, config.file)
        seconds = format_duration(timed.seconds)
        say(f"Wrote {config.file}. The study would take about {seconds}, {timed.how}.")
        return
    from agfnet.study.runner import run_study

    run_study(config)


def export(config: ExportConfig) -> None:
    from agfnet.export.run import export_run

    with bar("measuring int8") as progress:
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


def serve(config: ServeConfig) -> None:
    from agfnet.serve.run import serve as serve_bundle

    serve_bundle(config)


def bundle(config: BundleActionConfig) -> None:
    from agfnet.bundle import describe, read_bundle

    if config.action in ("push", "pull") and config.repo is None:
        raise ConfigError(f"repo: {config.action} needs --repo owner/name")
    if config.action == "push":
        from agfnet.hub import push

        say(f"Pushed to {push(config.folder, str(config.repo), private=config.private)}")
        return
    if config.action == "pull":
        from agfnet.hub import pull

        pull(str(config.repo), config.folder)
    read = read_bundle(config.folder)
    if config.action == "show":
        show_table(["bundle", str(read.folder)], [list(row) for row in describe(read).items()])
        say(NOTICE)
    else:
        say(f"{read.folder}: {len(read.files)} files are what was written.")


@dataclass(frozen=True)
class Command:
    """A command: its settings, from which its help is made, and what it does."""

    settings: type
    action: Callable[[Any], None]
    default_file: str | None = None  # if the command's argument `file` may be left out


COMMANDS = {
    "demo": Command(DemoConfig, demo),
    "phantom": Command(PhantomConfig, phantom),
    "import": Command(ImportConfig, import_),
    "deidentify": Command(DeidentifyConfig, deidentify),
    "check": Command(CheckConfig, check),
    "split": Command(SplitConfig, split),
    "train": Command(TrainConfig, train),
    "evaluate": Command(EvaluateConfig, evaluate),
    "compare": Command(CompareConfig, compare),
    "predict": Command(PredictConfig, predict),
    "explain": Command(ExplainConfig, explain),
    "export": Command(ExportConfig, export),
    "serve": Command(ServeConfig, serve),
    "bundle": Command(BundleActionConfig, bundle),
    "study": Command(StudyConfig, study, default_file="study.yaml"),
}


class Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the lines of the description, and writes options with hyphens."""

    def format_help(self) -> str:
        """Return the help text; options may be typed with underscores as well."""
        text: str = super().format_help()
        return re.sub(r"--\w[\w.]*", lambda option: option[0].replace("_", "-"), text)


def build_parser(names: Sequence[str] = tuple(COMMANDS)) -> ArgumentParser:
    """Build the parser, with the help texts of `agfnet.config`.

    Args:
        names: Commands that get their settings. To build those of all commands takes longer than a
            prediction.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="agfnet", description=DESCRIPTION, formatter_class=Formatter, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"agfnet {__version__}")
    commands = parser.add_subcommands(dest="command", required=True)
    for name, command in COMMANDS.items():
        summary = (command.settings.__doc__ or "").strip().splitlines()[0]
        positional = [
            field.name.upper()
            for field in fields(command.settings)
            if field.default is field.default_factory is MISSING
            and not field.type.endswith("Config")
        ]
        sub = ArgumentParser(
            usage=" ".join(
                ["agfnet", name, *positional, "[--OPTION VALUE ...]"]
                if command.default_file is None
                else ["agfnet", name, "[FILE]", "[--OPTION VALUE ...]"]
            ),
            description=f"{summary} {NOTICE}",
            formatter_class=Formatter,
            allow_abbrev=False,
        )
        commands.add_subcommand(name, sub, help=summary)
        if name in names:
            add_settings(sub, command.settings)
            if command.default_file is not None:
                file = next(action for action in sub._actions if action.dest == "file")
                file.nargs, file.required, file.default = "?", False, command.default_file
    return parser


def add_settings(parser: ArgumentParser, kind: type) -> None:
    """Add the settings of a command to its parser."""
    parser.add_argument("--config", action="config", help="YAML file with settings.")
    parser.add_argument("--debug", type=bool, default=False, help="Show the traceback of an error.")
    parser.add_class_arguments(kind, as_positional=True)
    for action in parser._actions:
        if getattr(action, "_typehint", None) is bool:
            action.nargs, action.const = "?", True  # `--resume` means `--resume true`
        if (allowed := range_of(kind, action.dest)) is not None:
            action.help = f"{action.help} Range: {allowed}."
        if isinstance(action.default, dict):  # plain values, as `--print-config` needs them
            action.default = json.loads(json.dumps(action.default, default=asdict))


def current_arguments(arguments: Sequence[str]) -> list[str]:
    """Return arguments with present names of settings, and `--config FILE` as its content."""
    command = COMMANDS.get(arguments[0]) if arguments else None
    if command is None:
        return list(arguments)
    result = []
    for argument in update_arguments(arguments, command.settings, warn):
        if argument.startswith("--config="):
            values = read_yaml(Path(argument.removeprefix("--config=")))
            values = update(values, command.settings, warn=warn)
            argument = f"--config={json.dumps(values, default=str)}"
        result.append(argument)
    return result


def join_images(arguments: Sequence[str]) -> list[str]:
    """Join options `--images.NAME PATH` to one in JSON: as YAML, `arm: left.jpg` is a mapping."""
    images: dict[str, str] = {}
    others: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        option = re.fullmatch(r"--images\.([^=]+)(=.*)?", argument, re.DOTALL)
        if option is None or (option[2] is None and not waiting):
            others.append(argument)
        else:
            images[option[1]] = waiting.pop(0) if option[2] is None else option[2][1:]
    return [*others, f"--images={json.dumps(images)}"] if images else others


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # for terminals that are not UTF-8
    name, debug = next(iter(arguments), ""), False
    try:
        parser = build_parser(arguments)
        parsed = parser.parse_args(current_arguments(join_images(arguments)))
        name, debug = parsed.command, parsed[parsed.command].debug
        command = COMMANDS[name]
        values = vars(parser.instantiate(parsed)[name])
        settings = {k: v for k, v in values.items() if k not in ("config", "debug")}
        command.action(command.settings(**settings))
    except (AgfnetError, ModuleNotFoundError, OSError, KeyboardInterrupt) as error:
        if debug and isinstance(error, Exception):
            raise
        say(f"agfnet {name}: {message(error)}", error=True)
        return 2 if isinstance(error, ConfigError) else 1
    return 0


def message(error: BaseException) -> str:
    """Return an error in one line, with the solution where it is known."""
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is missing; run `pip install agfnet`, which installs it"
    if isinstance(error, OSError):
        return f"{error.filename or 'file'}: {error.strerror or error}"
    return "stopped" if isinstance(error, KeyboardInterrupt) else str(error)
