"""Random stops: a command that SIGKILL ends at any moment is finished by running it again.

    python bench/stops.py --stops 200 --json bench/results/stops.json

    python bench/stops.py --stops 100 --commands train --json bench/results/stops_train.json

The JSON is written after every stop; with `--resume`, the stops that it counts are not repeated.

Six commands run on a tiny network, each in a separate process: training (two epochs of four steps
with a checkpoint at each, bundle and calibration), calibration, evaluation, export, prediction of a
table, and a study. Half of the stops come at a random CPU time, the other half within some
milliseconds after a random change of a file, since most of the time of a command changes none. The
command is then run again. It must succeed, and all files must be those of two runs without a stop,
byte by byte; checkpoints by their values, since a resumed training pickles the same tensors in
another order. Of environment.json, which names the commit, of the image cache, whose pages depend
on its transactions, and of files in which those two runs differ, only the names are compared. A
command that ends before its stop does not count, and another stop is drawn.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Timer

import torch
import yaml
from common import finish, options, row

from agfnet.cli import main as agfnet
from agfnet.config import PhantomConfig, TrainConfig
from agfnet.evaluation.calibrate import calibrate_run
from agfnet.files import write_json
from agfnet.phantom.cohort import make_cohort
from agfnet.study.run import run
from agfnet.study.settings import build
from agfnet.terminal import say
from agfnet.training.checkpoints import load_checkpoint

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from interruption import is_change

COHORT = ["phantom", "cohort", "--preset", "missing", "--lesions", "30", "--size", "32"]
NETWORK = {
    "method": "concatenation",
    "backbone": {"name": "resnet10t", "options": {"channels": [8, 16, 24, 32], "stem_width": 8}},
    "fusion": {"dim": 16, "heads": 2, "grid": 2},
}
BASE = {
    "data": {"cases": "cohort/cases.csv", "size": 32},
    "model": NETWORK,
    "optim": {"epochs": 2, "batch_size": 16, "lr": 0.001, "precision": "32-true"},
}
STUDY = {
    "out": "study",
    "base": BASE,
    "methods": ["AGFnet", "concatenation"],
    "seeds": [0],
    "metrics": ["accuracy", "nll"],
    "scoring": {"max_focus_lesions": 0, "resamples": 20},
    "resamples": 20,
}
SMALL = PhantomConfig(
    out="small",
    lesions=16,
    size=32,
    frames=1,
    split=(0.6, 0.4, 0.0),
    entities=["naevus", "melanoma"],
)  # without a test split, so that nothing is evaluated
TRAIN = {
    "data": {"cases": "small/cases.csv", "size": 32},
    "model": NETWORK,
    "optim": {"epochs": 2, "batch_size": 3, "lr": 0.001, "precision": "32-true"},
    "fit": {"checkpoint_minutes": 0},
    "resume": True,
}
RUN = "runs/agfnet"
SCORING = ("--resamples", "20", "--seed", "1", "--max-focus-lesions", "0")
TIME = "finished, stopped at a random time"
CHANGE = "finished, stopped after a random change"


@dataclass(frozen=True)
class Command:
    """A command, and where it starts from."""

    run: Callable[[], int]
    share: float  # of all stops; slow commands get fewer
    trained: bool = True  # starts from a finished run


def command(*arguments: str) -> Callable[[], int]:
    """Return a call of the program."""
    return lambda: agfnet(arguments)


def train() -> int:
    """Train, or continue."""
    run(build(TrainConfig, TRAIN, "bench/stops.py"), bar=False)
    return 0


def small_cohort() -> int:
    """Make the cohort of the training."""
    make_cohort(SMALL)
    return 0


def calibrate() -> int:
    """Calibrate, from the predictions on."""
    Path(RUN, "validation.csv").unlink(missing_ok=True)
    calibrate_run(RUN)
    return 0


COMMANDS = {
    "train": Command(train, 0.15, trained=False),
    "calibrate": Command(calibrate, 0.25),
    "evaluate": Command(command("evaluate", RUN, *SCORING), 0.15),
    "export": Command(command("export", RUN, "--int8", "--max-loss", "1"), 0.05),
    "predict": Command(
        command("predict", RUN, "--cases", "cohort/cases.csv", "--out", "p.csv"), 0.25
    ),
    "study": Command(command("study", "study.yaml", "--cpus", "1"), 0.15, trained=False),
}
IMPORTS = (
    *("agfnet.study.runner", "agfnet.report.run", "agfnet.inference.table", "agfnet.export.run"),
    *("onnx", "onnxruntime.quantization", "onnxscript", "torch.onnx"),
)
"""Modules that are imported once, and not by each process."""


class Process:
    """A command in a separate process, which may stop itself after a change of a file."""

    def __init__(self, run: Callable[[], int], folder: Path, stop: tuple[int, float] | None = None):
        self.log = folder.with_suffix(".log")
        self.pid = os.fork()
        if self.pid:
            os.setpgid(self.pid, self.pid)  # its processes can be killed from here on
        else:
            code = 70
            try:
                os.chdir(folder)
                log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(log, 1)
                os.dup2(log, 2)
                watch(folder, stop)
                code = run()
            finally:
                os._exit(code)

    def kill_after(self, seconds: float) -> None:
        """Kill the process and those that it started after some CPU time, unless it ends before."""
        ticks = seconds * os.sysconf("SC_CLK_TCK")
        while True:
            state, *numbers = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            if state == "Z":
                return
            if int(numbers[10]) + int(numbers[11]) >= ticks:  # user and system
                os.killpg(self.pid, signal.SIGKILL)
                return
            time.sleep(0.005)

    def wait(self) -> tuple[int, float]:
        """Return the exit code, negative for a signal, and the CPU time in seconds."""
        _, status, usage = os.wait4(self.pid, 0)
        return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def watch(folder: Path, stop: tuple[int, float] | None) -> None:
    """Count the changes of files in a folder in the file `NAME.changes` next to it.

    Args:
        folder: The folder.
        stop: Number of a change, and the seconds between it and the end of the process group.
    """
    counter = os.open(folder.with_suffix(".changes"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    changes = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal changes
        if not is_change(event, arguments, folder):
            return
        changes += 1
        os.pwrite(counter, f"{changes}".encode(), 0)
        if stop is not None and changes == stop[0]:
            Timer(stop[1], os.killpg, (os.getpid(), signal.SIGKILL)).start()

    sys.addaudithook(count)


@dataclass(frozen=True)
class Undisturbed:
    """A command without a stop: its files (None where two runs differ), CPU time and changes."""

    files: dict[str, bytes | None]
    seconds: float
    changes: int


def main() -> None:
    """Stop the commands in random order, and compare; Ctrl-C ends with the stops so far."""
    parser = options(__doc__)
    parser.add_argument("--stops", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS), choices=list(COMMANDS))
    parser.add_argument("--resume", action="store_true", help="continue the file of --json")
    arguments = parser.parse_args()
    for module in IMPORTS:
        import_module(module)
    shares = [COMMANDS[title].share for title in arguments.commands]
    plan = Random(arguments.seed).choices(arguments.commands, shares, k=arguments.stops)
    rows = [row(title, when, 0, 0) for title in arguments.commands for when in (TIME, CHANGE)]
    if arguments.resume and arguments.json.exists():
        rows = json.loads(arguments.json.read_text())
    before_this = sum(each["baseline"] for each in rows)
    with TemporaryDirectory() as name, suppress(KeyboardInterrupt):
        work = Path(name).resolve()
        fresh, trained = prepare(work, arguments.commands)
        befores = {title: trained if COMMANDS[title].trained else fresh for title in COMMANDS}
        references = {
            title: undisturbed(COMMANDS[title], befores[title], work / "stopped")
            for title in arguments.commands
        }
        for number, title in enumerate(plan[before_this:], start=before_this + 1):
            when = (TIME, CHANGE)[number % 2]
            rng = Random(f"{arguments.seed} {number}")
            stop(COMMANDS[title], references[title], befores[title], work / "stopped", when, rng)
            success = finished(COMMANDS[title], references[title], work / "stopped")
            rows = [
                row(title, when, each["value"] + success, each["baseline"] + 1)
                if (each["name"], each["metric"]) == (title, when)
                else each
                for each in rows
            ]
            if arguments.json:
                write_json(arguments.json, rows)
            if number % 10 == 0:
                say(f"{number} stops")
    finish(rows, arguments, "Commands that SIGKILL ended, and that the same command finished")


def prepare(work: Path, titles: Sequence[str]) -> tuple[Path, Path]:
    """Make a folder with cohorts and settings, and a copy with a finished run if it is needed.

    Each command runs in the same folder, because settings hold absolute paths.
    """
    fresh, folder = work / "fresh", work / "stopped"
    folder.mkdir()
    (folder / "train.yaml").write_text(yaml.safe_dump(BASE))
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    must(Process(small_cohort, folder))
    if {*titles} != {"train"}:
        must(Process(command(*COHORT), folder))
    shutil.copytree(folder, fresh)
    if any(COMMANDS[title].trained for title in titles):
        must(Process(command("train", "--config", "train.yaml", "--preset", "none"), folder))
    return fresh, folder.rename(work / "trained")


def must(process: Process) -> float:
    """Wait for a process that has to succeed; return its CPU time in seconds."""
    code, seconds = process.wait()
    if code != 0:
        raise SystemExit(f"{process.log.read_text()}\nthis command failed without a stop")
    return seconds


def undisturbed(each: Command, before: Path, folder: Path) -> Undisturbed:
    """Run a command twice without a stop."""
    runs = []
    for _ in range(2):
        reset(before, folder)
        seconds = must(Process(each.run, folder))
        runs.append(contents(folder))
    first, second = runs
    files = {path: data if second.get(path) == data else None for path, data in first.items()}
    return Undisturbed(
        files | dict.fromkeys(second.keys() - first.keys()),
        seconds,
        int(folder.with_suffix(".changes").read_text()),
    )


def stop(
    each: Command, reference: Undisturbed, before: Path, folder: Path, when: str, rng: Random
) -> None:
    """Run a command until SIGKILL ends it, at a random CPU time or after a random change."""
    code = 0
    while code != -signal.SIGKILL:
        reset(before, folder)
        if when == CHANGE:
            number = rng.randint(1, reference.changes)
            process = Process(each.run, folder, (number, rng.uniform(0, 0.01)))
        else:
            process = Process(each.run, folder)
            process.kill_after(rng.uniform(0, 1) * reference.seconds)
        code, _ = process.wait()


def finished(each: Command, reference: Undisturbed, folder: Path) -> bool:
    """Run a command again; return whether it succeeds with the files of an undisturbed one."""
    process = Process(each.run, folder)
    code, _ = process.wait()
    different = differences(reference.files, contents(folder))
    if code != 0 or different:
        say(f"exit code {code}, different files: {different}\n{process.log.read_text()}")
    return code == 0 and not different


def differences(expected: dict[str, bytes | None], result: dict[str, bytes]) -> list[str]:
    """Return the files that are missing, new or other ones; None expects any content."""
    return sorted(
        path
        for path in {*expected, *result}
        if path not in expected or path not in result or expected[path] not in (None, result[path])
    )


def reset(before: Path, folder: Path) -> None:
    """Bring the folder to the state before the command."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(before, folder)


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder; of checkpoints, their values."""
    files = {}
    for path in filter(Path.is_file, folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".ckpt":
            files[name] = values(load_checkpoint(path)).encode()
        else:
            skipped = path.name == "environment.json" or path.suffix == ".sqlite"
            files[name] = b"" if skipped else path.read_bytes()
    return files


def values(state: object) -> str:
    """Return a state as a text in which every bit of a tensor counts."""
    if isinstance(state, torch.Tensor):
        raw = state.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        return f"{state.dtype} {tuple(state.shape)} {sha256(raw).hexdigest()}"
    if isinstance(state, dict):
        return repr([(key, values(state[key])) for key in sorted(state, key=str)])
    if isinstance(state, list | tuple):
        return repr([values(part) for part in state])
    return repr(state)


if __name__ == "__main__":
    main()
