"""A long table: the same bytes whatever stopped the job, and however it is shared out."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agfnet.bundle import BundleConfig, read_bundle
from agfnet.config import PredictConfig
from agfnet.data.table import Case, read_cases
from agfnet.errors import ConfigError, DataError, ImageError, RunError
from agfnet.inference import table as answering
from agfnet.inference.decisions_table import write_decisions
from agfnet.inference.frames_table import frames_table
from agfnet.inference.job import Job
from agfnet.inference.predictions import read_predictions, write_predictions
from agfnet.inference.predictor import Predictor
from agfnet.inference.table import BLOCK, check_out, class_names, predict_table, shard_rows

ROWS = 3 * BLOCK + 7
Array = np.ndarray[Any, Any]

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from {module} import Fake, PredictConfig, answering, predictor
answering.SAVE_INTERVAL_S = 0
answering.predict_table(PredictConfig(**{asked!r}), predictor({bundle!r}, Fake(pause=0.03)))
"""


@dataclass
class Fake:
    """A network whose answers depend on the batch, as rounding does, only much more."""

    pause: float = 0.0
    calls: int = 0
    most: int | None = None

    def logits(self, images: Sequence[Array], present: Array) -> Array:
        """Mean colours, and the size of the batch."""
        self.calls += 1
        if self.most is not None and self.calls > self.most:
            raise KeyboardInterrupt
        time.sleep(self.pause)
        means = [image.mean(axis=(1, 2)) / 64 for image in images]
        return np.hstack([*means, np.full((len(present), 1), len(present) / 10)])


def predictor(bundle: str | Path, backend: Fake) -> Predictor:
    return Predictor(bundle=read_bundle(bundle), backend=backend, batch_size=5)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(4):
        pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def cases(images: Path) -> Path:
    """Lesions of one to three frames, some without a photograph, one with a line end in its id."""
    path = images / "cases.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lesion_id", "patient_id", "label", "clinical", "ultrasound"])
        for i in range(ROWS):
            scans = "|".join(f"{n}.png" for n in range(1 + i % 3))
            photo = "" if i % 5 == 0 else f"{i % 4}.png"
            name = "two\nlines" if i == 3 else f"L{i}"
            writer.writerow([name, f"P{i // 2}", "naevus" if i % 2 else "", photo, scans])
    return path


@pytest.fixture
def asked(trained: Path, cases: Path, tmp_path: Path) -> PredictConfig:
    return PredictConfig(
        model=str(trained), cases=str(cases), out=str(tmp_path / "o" / "predictions.csv")
    )


def answer(asked: PredictConfig, backend: Fake | None = None) -> answering.TableResult:
    return predict_table(asked, predictor(asked.model, backend or Fake()))


def contents(asked: PredictConfig) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(asked.out).parent.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(
    trained: Path, cases: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed") / "predictions.csv"
    asked = PredictConfig(model=str(trained), cases=str(cases), out=str(out))
    assert answer(asked).lesions == ROWS
    return contents(asked)


def test_the_tables_are_those_that_evaluation_writes(
    trained: Path, cases: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    found = predictor(trained, Fake())
    classes, views = found.bundle.config.classes, tuple(found.bundle.config.modalities)
    read = read_cases(cases, modalities=views)
    first = read.cases[:BLOCK]  # evaluation has no blocks
    with frames_table(
        tmp_path / "frames.csv", classes=classes, modalities=views, folder=cases.parent
    ) as write:
        predictions = found.predict(first, each=write)
    write_predictions(predictions, tmp_path / "predictions.csv")
    write_decisions(predictions, tmp_path / "predictions.csv")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(undisturbed) == ["decisions.csv", "frames.csv", "predictions.csv"]
    for name in names:
        assert undisturbed[name].startswith((tmp_path / name).read_bytes())
    (tmp_path / "whole.csv").write_bytes(undisturbed["predictions.csv"])
    answers = read_predictions(tmp_path / "whole.csv")
    assert answers.lesion_id == tuple(case.lesion_id for case in read)


@pytest.mark.slow
def test_a_job_that_was_killed_goes_on_to_the_same_bytes(
    asked: PredictConfig, undisturbed: dict[str, bytes]
) -> None:
    code = SCRIPT.format(
        folder=str(Path(__file__).parent),
        module=Path(__file__).stem,
        asked=vars(asked),
        bundle=asked.model,
    )
    job = Path(asked.out + ".job")
    process = subprocess.Popen([sys.executable, "-c", code])
    while not (job.exists() and f'"done": {BLOCK}' in job.read_text()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with Path(asked.out + ".part").open("a") as file:
        file.write("L70,P35,,nae")  # what a kill during a write leaves
    assert BLOCK <= answer(asked).resumed < ROWS
    assert contents(asked) == undisturbed


@pytest.mark.parametrize("most", [0, 60])
def test_an_interrupt_says_how_to_go_on(
    asked: PredictConfig,
    undisturbed: dict[str, bytes],
    most: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answering, "SAVE_INTERVAL_S", 0)
    with pytest.raises(
        RunError, match=rf"interrupted after (\d+) of {ROWS} lesions; run the same"
    ) as stop:
        answer(asked, Fake(most=most))
    done = int(str(stop.value).split()[2])
    assert done % BLOCK == 0
    assert answer(asked).resumed == done
    assert contents(asked) == undisturbed


def test_a_stop_costs_what_was_not_yet_kept(asked: PredictConfig) -> None:
    with pytest.raises(RunError, match="interrupted after 0 of"):
        answer(asked, Fake(most=60))


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 5])
def test_shares_put_together_are_the_whole(
    asked: PredictConfig, undisturbed: dict[str, bytes], count: int
) -> None:
    for i in range(1, count + 1):
        answer(replace(asked, shard=f"{i}/{count}"))
    folder = Path(asked.out).parent
    assert len(list(folder.iterdir())) == 3 * count
    for end, name in (("", "predictions"), ("_frames", "frames"), ("_decisions", "decisions")):
        parts = sorted(folder.glob(f"predictions_*-of-{count}{end}.csv"))
        assert len(parts) == count
        shell = 'head -q -n 1 "$@" | head -n 1; tail -q -n +2 "$@"'  # as documented
        joined = subprocess.run(["sh", "-c", shell, "sh", *parts], capture_output=True, check=True)
        assert joined.stdout == undisturbed[f"{name}.csv"]


def test_shares_cover_any_table_once() -> None:
    for total in (1, BLOCK - 1, BLOCK, 5 * BLOCK + 1):
        for count in (1, 2, 7):
            parts = [shard_rows(total, f"{i}/{count}") for i in range(1, count + 1)]
            assert [row for part in parts for row in part] == list(range(total))


def test_memory_holds_a_few_blocks(asked: PredictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[Callable[[], Case | None]] = []
    most = 0
    stream = answering.stream_cases

    def counted(*arguments: Any, **options: Any) -> Any:
        import weakref

        nonlocal most
        for case in stream(*arguments, **options):
            one = replace(case)
            alive.append(weakref.ref(one))
            most = max(most, sum(ref() is not None for ref in alive))
            yield one

    monkeypatch.setattr(answering, "stream_cases", counted)
    answer(asked)
    assert len(alive) == ROWS
    assert most <= BLOCK + 3 * 5


def test_another_table_or_model_is_another_job(
    asked: PredictConfig, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "SAVE_INTERVAL_S", 0)
    with pytest.raises(RunError):
        answer(asked, Fake(most=30))
    other = cases.with_name("other.csv")
    other.write_text(cases.read_text().replace("naevus", "melanoma"))
    with pytest.raises(RunError, match="another table; delete"):
        answer(replace(asked, cases=str(other)))
    changed = predictor(asked.model, Fake())
    monkeypatch.setattr(answering, "model_hash", lambda *_: "other")
    with pytest.raises(RunError, match=r"another model; delete .*predictions\.csv\.job"):
        predict_table(asked, changed)


def test_a_table_that_changes_meanwhile_is_noticed(
    asked: PredictConfig, cases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = cases.with_name("copy.csv")
    copy.write_bytes(cases.read_bytes())
    add = Job.add

    def edit(*arguments: Any) -> None:
        copy.write_text(copy.read_text() + "\n")
        add(*arguments)

    monkeypatch.setattr(Job, "add", edit)
    with pytest.raises(DataError, match="changed during the prediction"):
        answer(replace(asked, cases=str(copy)))
    assert not Path(asked.out).exists()


@pytest.fixture
def broken(cases: Path) -> Path:
    """The table with a scan that is no image, a lesion that has one good frame beside a bad one,
    and a file that is not there."""
    (cases.parent / "bad.png").write_text("no image")
    lines = cases.read_text().replace("L70,P35,,,0.png|1.png", "L70,P35,,,0.png|bad.png")
    lines = lines.replace("L6,P3,,2.png,0.png", "L6,P3,,gone.png,0.png")
    path = cases.with_name("broken.csv")
    path.write_text(lines)
    assert "bad.png" in lines
    assert "gone.png" in lines
    return path


def test_an_unreadable_image_stops_the_job_until_it_is_fixed(
    asked: PredictConfig, broken: Path, undisturbed: dict[str, bytes], images: Path
) -> None:
    mine = replace(asked, cases=str(broken))
    with pytest.raises(DataError, match=r"broken\.csv:9 column clinical: 'gone\.png' cannot"):
        answer(mine)
    assert not Path(asked.out).parent.exists()
    (images / "gone.png").write_bytes((images / "2.png").read_bytes())
    with pytest.raises(
        ImageError, match=r"broken\.csv:73: lesion 'L70': .*bad\.png: is not an im.*--on-error skip"
    ) as error:
        answer(mine)
    assert "\n" not in str(error.value)
    (images / "bad.png").write_bytes((images / "1.png").read_bytes())
    answer(mine)
    (images / "gone.png").unlink()
    assert contents(asked)["predictions.csv"] == undisturbed["predictions.csv"]


@pytest.mark.slow
def test_unreadable_images_are_skipped_and_listed(
    asked: PredictConfig, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "SAVE_INTERVAL_S", 0)
    mine = replace(asked, cases=str(broken), on_error="skip")
    whole = replace(mine, out=str(Path(mine.out).with_name("whole.csv")))
    done = answer(whole)
    assert (done.lesions, done.skipped) == (ROWS, 2)
    with pytest.raises(RunError):
        answer(mine, Fake(most=60))
    assert answer(mine).skipped == 2
    found = contents(mine)
    for name in ("frames", "decisions", "problems"):
        assert found[f"{name}.csv"] == found[f"whole_{name}.csv"]
    header, *rows = csv.reader(found["problems.csv"].decode().splitlines())
    assert header == ["lesion_id", "row", "problem"]
    assert [row[:2] for row in rows] == [["L6", "9"], ["L70", "73"]]
    assert "gone.png: no such file" in rows[0][2]
    assert "bad.png: is not an image" in rows[1][2]
    answers = read_predictions(mine.out).lesion_id
    assert len(answers) == ROWS - 2
    assert not {"L6", "L70"} & set(answers)
    answer(replace(mine, cases=str(broken.with_name("cases.csv"))))
    assert "problems.csv" not in contents(mine)  # of the earlier job


@pytest.mark.parametrize(
    ("out", "message"),
    [("answers.xlsx", "the table is CSV"), ("a.parquet", "--parquet writes"), (".", "is a folder")],
)
def test_a_path_that_is_no_table_is_refused(out: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_out(out)


def test_labels_become_classes(trained: Path) -> None:
    config: BundleConfig = read_bundle(trained).config
    assert class_names(config) == {name: name for name in config.classes}
    merged = replace(config, classes=("bad", "good"), labels={"bad": ["MEL"], "good": ["NV", "BN"]})
    assert class_names(merged) == {"MEL": "bad", "NV": "good", "BN": "good"}


def test_progress_goes_on_where_the_job_does(
    asked: PredictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "SAVE_INTERVAL_S", 0)
    with pytest.raises(RunError):
        answer(asked, Fake(most=60))
    seen: list[tuple[int, int]] = []
    found = predictor(asked.model, Fake())
    done = predict_table(asked, found, progress=lambda *at: seen.append(at)).resumed
    assert seen == [(number, ROWS) for number in range(done + 1, ROWS + 1)]
