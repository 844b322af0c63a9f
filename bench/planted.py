"""Planted bugs: each is caught by a test that is named here.

    python bench/planted.py --json bench/results/planted.json

The bugs are those of an audit that survived the tests of that time. Each is put into a copy of the
repository, where its tests have to fail; without it they have to pass. A bug whose lines are no
longer in the source is an error: the list then needs the new ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from common import finish, options, row
from forks import FAILED, PASSED, repository_copy, run_tests


class Bug(NamedTuple):
    """A change of a source file, and the tests that notice it."""

    title: str
    file: str  # below src/agfnet
    changes: dict[str, str]
    tests: str  # below tests, as arguments of pytest


RESUMED = "training/test_trainer.py::test_a_resumed_run_repeats_only_what_is_lost"
BUGS = (
    Bug(
        "no seed for each step and epoch",
        "training/trainer.py",
        {"torch.manual_seed(hash((self.seed, self.current_epoch,": "hash(hash((self.seed, 0,"},
        "training/test_trainer.py::test_dropout_depends_on_seed_epoch_and_step",
    ),
    Bug(
        "the same order of the cases in every epoch",
        "data/sampling.py",
        {"(self._seed, self._epoch)": "(self._seed, 0)"},
        "data/test_sampling.py",
    ),
    Bug(
        "the worst checkpoint is kept",
        "training/callbacks.py",
        {"self.best = math.inf": "self.best = -math.inf", "loss < self.best": "loss > self.best"},
        "training/test_trainer.py::test_the_epoch_of_the_lowest_validation_loss_is_kept",
    ),
    Bug(
        "the first epoch is kept instead of the last one",
        "training/callbacks.py",
        {"if self.keep_best else self.finished": "if self.keep_best else self.best_epoch is None"},
        "training/test_trainer.py::test_the_last_epoch_is_kept",
    ),
    Bug(
        "no average of the weights",
        "training/trainer.py",
        {"callbacks.append(average(decay=config.ema))": "pass"},
        "training/test_trainer.py::test_the_moving_average_of_the_weights_is_kept",
    ),
    Bug(
        "gradients are not clipped",
        "training/trainer.py",
        {"clip_grad_norm_(parameters, gradient_clip_val)": "clip_grad_norm_(parameters, 1e9)"},
        "training/test_trainer.py::test_gradients_are_clipped",
    ),
    Bug(
        "validation images are augmented",
        "training/cases.py",
        {"(cases.val, False)": "(cases.val, True)"},
        "training/test_cases.py::test_only_training_is_shuffled_and_varied",
    ),
    Bug(
        "validation cases are shuffled",
        "training/cases.py",
        {"shuffle=training,": "shuffle=True,"},
        "training/test_cases.py::test_only_training_is_shuffled_and_varied",
    ),
    Bug(
        "train_fraction ignores the seed",
        "training/cases.py",
        {"train_fraction, seed=config.seed": "train_fraction, seed=0"},
        "training/test_cases.py::test_a_fraction_of_the_training_cases_depends_on_the_seed",
    ),
    Bug(
        "train_fraction prefers large patients",
        "data/splits.py",
        {"sorted(patients, key=lambda patient: _lot(seed, patient.id))": "patients"},
        "training/test_cases.py::test_a_fraction_keeps_large_and_small_patients_alike",
    ),
    Bug(
        "all parameters decay",
        "training/optim.py",
        {"config.weight_decay if decays else 0.0": "config.weight_decay"},
        "training/test_optim.py",
    ),
    Bug(
        "backbone_lr is ignored",
        "training/optim.py",
        {"rate = config.backbone_lr * config": "rate = config"},
        "training/test_optim.py",
    ),
    Bug(
        "the learning rate does not decay",
        "training/optim.py",
        {"return 0.5 * (1 + math.cos(": "return 0.5 * (2 + 0 * math.cos("},
        "training/test_optim.py",
    ),
    Bug(
        "class weights are inverted",
        "training/supervised.py",
        {"counts.sum() / (len(counts) * counts)": "counts * len(counts) / counts.sum()"},
        "training/test_supervised.py",
    ),
    Bug(
        "reconstructed features are not classified",
        "training/reconstruction.py",
        {"second = self.model.forward_head(reconstructed)": "second = output"},
        "training/test_reconstruction.py::test_the_reconstructed_features_are_classified",
    ),
    Bug(
        "the loss of the reconstructed features counts for nothing",
        "training/reconstruction.py",
        {"+ config.cross_entropy_weight *": "+ 0 *"},
        "training/test_reconstruction.py",
    ),
    Bug(
        "attribution of the predicted class, not of the label",
        "training/reconstruction.py",
        {"logits.gather(1, batch.labels[:, None])": "logits.amax(dim=1, keepdim=True)"},
        "training/test_reconstruction.py::test_attribution_is_that_of_the_true_class",
    ),
    Bug(
        "no covariance between seeds",
        "metrics/seeds.py",
        {"common = max(float(": "common = 0 * max(float("},
        "metrics/test_seeds.py",
    ),
    Bug(
        "the probability of failure is not divided by the steps",
        "calibration/abstention.py",
        {"failure / steps": "failure"},
        "calibration/test_abstention.py",
    ),
    Bug(
        "prediction sets of probabilities that are not scaled",
        "calibration/fit.py",
        {"fit_sets(\n            scaled,": "fit_sets(\n            cases,"},
        "calibration/test_fit.py",
    ),
    Bug(
        "p of permutations may be 0",
        "metrics/paired.py",
        {"(extreme + 1) / (permutations + 1)": "extreme / permutations"},
        "metrics/test_paired.py::test_the_p_of_permutations_is_never_0",
    ),
    Bug(
        "a mismatched image of the same patient",
        "robustness/conditions.py",
        {"if case.patient_id != cases[row].patient_id": "if case is not cases[row]"},
        "robustness/test_conditions.py::test_lesions_of_the_same_patient_never_replace_each_other",
    ),
    Bug(
        "a graph may differ by 1 in a probability",
        "export/run.py",
        {"TOLERANCE = 1e-4": "TOLERANCE = 1"},
        "export/test_graph.py::test_a_graph_that_differs_in_the_fourth_digit_is_refused",
    ),
    Bug(
        "the graph averages probabilities of frames",
        "export/graph.py",
        {
            "mean = (together @ logits.log_softmax(dim=1)).log_softmax(dim=1)": (
                "mean = (together @ logits.softmax(dim=1)).log()"
            )
        },
        "export/test_graph.py",
    ),
    Bug(
        "the graph has no temperature",
        "export/graph.py",
        {"mean * self.scale + self.bias": "mean + self.bias"},
        "export/test_graph.py",
    ),
    Bug(
        "unknown DICOM attributes are kept",
        "deidentify/tags.py",
        {"tag.is_private or not known or": "tag.is_private or"},
        "deidentify/test_tags.py::test_unknown_attributes_are_removed",
    ),
    Bug(
        "a stopped training starts from the beginning",
        "training/trainer.py",
        {"ckpt_path=checkpoint,": "ckpt_path=None,"},
        f"{RESUMED}[none]",
    ),
)


def main() -> None:
    """Plant the bugs one by one."""
    parser = options(__doc__)
    parser.add_argument("--only", default="", help="a part of the titles of the bugs to plant")
    arguments = parser.parse_args()
    with repository_copy() as work:
        bugs = [bug for bug in BUGS if arguments.only in bug.title]
        sound = run_tests(work, sorted({bug.tests for bug in bugs}))
        if sound != PASSED:
            raise SystemExit(f"without a planted bug, pytest ends with the exit code {sound}")
        rows = [row(bug.title, "caught", int(caught(work, bug)), 1) for bug in bugs]
    finish(rows, arguments, "Planted bugs")


def caught(work: Path, bug: Bug) -> bool:
    """Plant a bug, run its tests, and restore the file."""
    file = work / "src" / "agfnet" / bug.file
    original = text = file.read_text(encoding="utf-8")
    for line, planted in bug.changes.items():
        if text.count(line) != 1:
            raise SystemExit(f"{bug.title}: {line!r} is {text.count(line)} times in {bug.file}")
        text = text.replace(line, planted)
    file.write_text(text, encoding="utf-8")
    try:
        return run_tests(work, [bug.tests]) == FAILED
    finally:
        file.write_text(original, encoding="utf-8")


if __name__ == "__main__":
    main()
