"""Two reporting checklists, with the answers that follow from the run.

CLAIM: Mongan, Moy and Kahn, "Checklist for artificial intelligence in medical imaging", Radiology:
Artificial Intelligence 2020, updated by Tejani et al., same journal, 2024; numbered as in 2020.
TRIPOD+AI: Collins et al., BMJ 2024. The titles are shortened by us and do not replace the
checklists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agfnet.pages.blocks import Block, Heading, Section, Table, Text
from agfnet.translation import t


class Item(NamedTuple):
    """An item, and the name of the fact that answers it; "" where only authors can."""

    number: str
    title: str
    fact: str = ""


CLAIM = (
    Item("1", "Title names the technology"),
    Item("2", "Structured summary"),
    Item("3", "Background and intended use"),
    Item("4", "Objectives and hypotheses"),
    Item("5", "Prospective or retrospective"),
    Item("6", "Goal of the study"),
    Item("7", "Sources of the data", "data"),
    Item("8", "Who was eligible"),
    Item("9", "Preparation of the data", "preparation"),
    Item("10", "Choice of parts of the data", "selection_of_data"),
    Item("11", "What the data elements mean", "elements"),
    Item("12", "De-identification"),
    Item("13", "Missing data", "missing"),
    Item("14", "Reference standard", "outcome"),
    Item("15", "Why this reference standard"),
    Item("16", "Who annotated"),
    Item("17", "Annotation tools"),
    Item("18", "Agreement of annotators"),
    Item("19", "Sample size", "sample"),
    Item("20", "How the data were split", "partition"),
    Item("21", "At what level the parts are disjoint", "disjoint"),
    Item("22", "The model", "model"),
    Item("23", "Software", "software"),
    Item("24", "Starting weights", "initialisation"),
    Item("25", "Training", "training"),
    Item("26", "How the final model was chosen", "model_choice"),
    Item("27", "Ensembles", "ensemble"),
    Item("28", "Measures of performance", "metrics"),
    Item("29", "Uncertainty of the measures", "uncertainty"),
    Item("30", "Robustness", "robustness"),
    Item("31", "Explanation", "explanation"),
    Item("32", "Validation on outside data", "external"),
    Item("33", "Flow of cases", "flow"),
    Item("34", "Characteristics of the patients", "patients"),
    Item("35", "Performance on every part", "parts"),
    Item("36", "Diagnostic accuracy with precision", "performance"),
    Item("37", "Analysis of failures", "failures"),
    Item("38", "Limitations", "limitations"),
    Item("39", "Implications for practice"),
    Item("40", "Registration"),
    Item("41", "Protocol"),
    Item("42", "Funding"),
)
TRIPOD = (
    Item("1", "Title"),
    Item("2", "Abstract"),
    Item("3a-c", "Background, population, inequalities"),
    Item("4", "Objectives"),
    Item("5a-b", "Data: source and dates", "data"),
    Item("6a-c", "Participants: setting, eligibility, treatments"),
    Item("7", "Data preparation", "preparation"),
    Item("8a-c", "Outcome", "outcome"),
    Item("9a-c", "Predictors", "elements"),
    Item("10", "Sample size", "sample"),
    Item("11", "Missing data", "missing"),
    Item("12a-g", "Analysis", "analysis"),
    Item("13", "Class imbalance", "imbalance"),
    Item("14", "Fairness: approach", "fairness"),
    Item("15", "Output of the model", "output"),
    Item("16", "Training against evaluation data", "external"),
    Item("17", "Ethical approval"),
    Item("18a-f", "Open science: code", "code"),
    Item("19", "Involvement of patients and public"),
    Item("20a-c", "Participants: flow and characteristics", "flow"),
    Item("21", "Model development: cases and events", "sample"),
    Item("22", "Full model specification", "model"),
    Item("23a-b", "Performance, also in groups", "performance"),
    Item("24", "Updating of the model", "updating"),
    Item("25", "Interpretation"),
    Item("26", "Limitations", "limitations"),
    Item("27a-c", "Use in practice: poor input, users, next steps", "robustness"),
)
CHECKLISTS = {
    "CLAIM": (
        CLAIM,
        "CLAIM (Mongan et al., 2020; updated by Tejani et al., 2024), by its 2020 numbers",
    ),
    "TRIPOD+AI": (TRIPOD, "TRIPOD+AI (Collins et al., 2024)"),
}


def checklists(facts: Mapping[str, str]) -> Section | None:
    """Both checklists: the items that the run answers, at least in part, and the open ones."""
    if not facts:
        return None
    blocks: list[Block] = [
        Text(
            t(
                "Answers of the run itself, often only in part: the checklists ask for more. The "
                "titles are shortened; read the items where they were published."
            )
        )
    ]
    for name, (items, source) in CHECKLISTS.items():
        rows = [(f"{i.number} {t(i.title)}", facts[i.fact]) for i in items if i.fact in facts]
        unanswered = [f"{i.number} {t(i.title).lower()}" for i in items if i.fact not in facts]
        blocks += [
            Heading(t(source)),
            Table(name, (t("Item"), t("Answer of this run")), rows, words=True),
            Text(
                t("{text}.", text=t(", ").join(unanswered)),
                label=t("To be answered by the authors:"),
            ),
        ]
    return Section("checklists", t("For a publication: reporting checklists"), blocks)
