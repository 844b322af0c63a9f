"""Compute attribution maps."""

from __future__ import annotations

from agfnet import NOTICE
from agfnet.cli.command import Command
from agfnet.config import ExplainConfig
from agfnet.terminal import bar, say


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


COMMAND = Command(ExplainConfig, explain)
