"""The command line: one thin function per command; heavy imports stay inside them.

Exit codes: 0 done, 1 the data or the model has problems (listed), 2 wrong use.
"""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, DefaultHelpFormatter, set_parsing_settings

from agfnet import NOTICE, __version__
from agfnet.config import (
    DemoConfig,
    EvaluateConfig,
    ImportConfig,
    PhantomConfig,
    PredictConfig,
    SplitConfig,
    TrainConfig,
)
from agfnet.errors import AgfnetError, ConfigError
from agfnet.terminal import bar, say, show_result, show_table

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
    from agfnet.data.importers.milk10k import import_milk10k

    report = import_milk10k(config.source, config.out)
    show_table(["label", "cases"], list(report.labels.items()), f"{report.cases} lesions")
    for note in report.notes:
        say(f"Note: {note}.")
    say(f"Wrote {report.table}, modalities {', '.join(report.modalities)}")


def split(config: SplitConfig) -> None:
    from agfnet.data.cases import find_modalities, read_cases, write_cases
    from agfnet.data.splits import split_cases, split_summary

    modalities = config.modalities or find_modalities(config.cases)
    table = read_cases(config.cases, modalities=modalities)
    cases = split_cases(table, fractions=config.fractions, seed=config.seed)
    write_cases(cases, config.out, modalities=modalities)
    show_table(
        ["split", "label", "cases", "patients"],
        [[row.split, row.label, row.cases, row.patients] for row in split_summary(cases)],
    )
    say(f"Wrote {config.out}")


def train(config: TrainConfig) -> None:
    from agfnet.study.run import run

    with bar("evaluating") as progress:
        folder = run(config, progress=progress)
    result = folder / "evaluation" / "test"
    if result.is_dir():
        show_result(result)
    else:
        say(f"Wrote {folder / 'bundle'}. The table has no test split, so nothing was evaluated.")


def evaluate(config: EvaluateConfig) -> None:
    from agfnet.evaluation.runs import evaluate_run

    with bar("evaluating") as progress:
        folder = evaluate_run(config, progress=progress)
    show_result(folder)


def predict(config: PredictConfig) -> None:
    if (config.images is None) == (config.cases is None):
        raise ConfigError("give either --images.MODALITY FILE for one lesion, or --cases TABLE")
    if config.cases is not None and config.picture is not None:
        raise ConfigError("--picture goes with --images.MODALITY, not with --cases")
    from agfnet.inference.predictor import Predictor

    predictor = Predictor.load(config.model)
    if config.cases is not None:
        predict_table(config.cases, config.out, predictor)
    else:
        predict_lesion(config, predictor)


def predict_table(table: str, out: str, predictor: Any) -> None:
    from agfnet.data.cases import read_cases
    from agfnet.inference.predictions import write_predictions

    cases = read_cases(table, modalities=tuple(predictor.bundle.config.modalities)).cases
    with bar("predicting") as progress:
        predictions = predictor.predict(cases, progress=lambda done: progress(done, len(cases)))
    write_predictions(predictions, out)
    say(f"Wrote {out}: {len(predictions)} lesions. {NOTICE}")


def predict_lesion(config: PredictConfig, predictor: Any) -> None:
    from agfnet.data.cases import JOIN
    from agfnet.inference.picture import save_picture, sentence

    images = {
        name: tuple(Path(path) for path in cell.split(JOIN) if path)
        for name, cell in (config.images or {}).items()
    }
    diagnosis = predictor.diagnose(images)
    classes = predictor.bundle.config.classes
    missing = [name for name in predictor.bundle.config.modalities if not images.get(name)]
    say(sentence(classes, diagnosis))
    if missing:
        say(f"Without {' and '.join(missing)}: the answer rests on the other images alone.")
    ranked = sorted(zip(classes, diagnosis.probabilities, strict=True), key=lambda x: -x[1])
    show_table(["class", "probability"], [[name, f"{p:.3f}"] for name, p in ranked])
    if config.picture is not None:
        from agfnet.data.readers import read_image

        pixels = {name: read_image(paths[0]).pixels for name, paths in images.items() if paths}
        save_picture(config.picture, classes=classes, diagnosis=diagnosis, images=pixels)
        say(f"Wrote {config.picture}")
    say(NOTICE)


@dataclass(frozen=True)
class Command:
    """A command: its settings, from which its help is made, and what it does."""

    settings: type
    action: Callable[[Any], None]


COMMANDS = {
    "demo": Command(DemoConfig, demo),
    "phantom": Command(PhantomConfig, phantom),
    "import": Command(ImportConfig, import_),
    "split": Command(SplitConfig, split),
    "train": Command(TrainConfig, train),
    "evaluate": Command(EvaluateConfig, evaluate),
    "predict": Command(PredictConfig, predict),
}


class Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Leaves the lines of the description as they are."""


def build_parser() -> ArgumentParser:
    """The parser of all commands; every text in its help comes from `agfnet.config`."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="agfnet", description=DESCRIPTION, formatter_class=Formatter, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"agfnet {__version__}")
    commands = parser.add_subcommands(dest="command", required=True)
    for name, command in COMMANDS.items():
        summary = (command.settings.__doc__ or "").strip().splitlines()[0]
        sub = ArgumentParser(description=f"{summary} {NOTICE}", allow_abbrev=False)
        sub.add_argument("--config", action="config", help="YAML file with settings.")
        sub.add_argument("--debug", type=bool, default=False, help="Show an error's traceback.")
        sub.add_class_arguments(command.settings, as_positional=True)
        for action in sub._actions:
            if getattr(action, "_typehint", None) is bool:
                action.nargs, action.const = "?", True  # `--resume` means `--resume true`
        commands.add_subcommand(name, sub, help=summary)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = build_parser()
    chosen = parser.parse_args(arguments)
    name: str = chosen.command
    debug: bool = chosen[name].debug
    command = COMMANDS[name]
    try:
        values = vars(parser.instantiate(chosen)[name])
        fields = {k: v for k, v in values.items() if k not in ("config", "debug")}
        command.action(command.settings(**fields))
    except AgfnetError as error:
        if debug:
            raise
        say(f"agfnet {name}: {error}", error=True)
        return 2 if isinstance(error, ConfigError) else 1
    except OSError as error:
        if debug:
            raise
        say(f"agfnet {name}: {error.filename or 'file'}: {error.strerror}", error=True)
        return 1
    except KeyboardInterrupt:
        say(f"agfnet {name}: stopped", error=True)
        return 1
    return 0
