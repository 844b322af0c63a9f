"""Compute attribution maps."""

from __future__ import annotations

from agfnet import NOTICE
from agfnet.cli.command import CASES_COLUMNS, Command
from agfnet.cli.threads import choose_threads
from agfnet.config import ExplainConfig
from agfnet.terminal import bar, say


def explain(config: ExplainConfig) -> None:
    with bar("explaining") as progress:
        from agfnet.explain.compute.methods import CHECKS, METHODS
        from agfnet.explain.run import explain as explain_model

        choose_threads()
        result = explain_model(config, progress=progress)
    for line in result.missing:
        say(f"Not drawn: {line}.")
    if result.failed is None:
        say("The maps of this network have not been checked; --sanity checks them.")
    for method, checks in (result.failed or {}).items():
        if checks:
            texts = "; ".join(CHECKS[check].text for check in checks)
            say(f"{METHODS[method].title} is not reliable on this network: {texts}.")
    if count := len(result.foreign):
        say(
            f"{count} of {result.cases} lesions have a picture of another kind than the training"
            " images, or one of very poor quality: what explains them has no meaning (foreign in"
            f" explanation.json). The first is {result.foreign[0]!r}."
        )
    lesions = "1 lesion" if result.cases == 1 else f"{result.cases} lesions"
    say(f"Wrote {result.folder}: maps, attention and numbers of {lesions}. {NOTICE}")


COMMAND = Command(
    ExplainConfig,
    explain,
    examples=(
        "agfnet explain runs/first --images.clinical a.jpg --images.ultrasound b.png",
        "agfnet explain runs/first --cases new.csv --max-lesions 50",
    ),
    docs="explain.md",
    columns=CASES_COLUMNS,
    extra="train",
)
