"""The answer for one lesion, and for the lesions of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from agfnet import NOTICE
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.percents import percent, percent_text
from agfnet.inference.wording import sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Result:
    """The answer for one lesion. Research use only, not a medical device.

    A notebook shows it as the images, the probabilities and the warnings.

    Attributes:
        classes: Names of the classes.
        diagnosis: The answer as arrays, with those of every frame.
        images: Modality to pixels (H, W, 3) uint8 of its first image; empty for a table.
        contributions: Modality to its contribution to the probability of `label` (Shapley value,
            points of probability); None if it was not computed.
        lesion_id: Name of the lesion in the table; empty for a lesion without one.
        names: Display names of the classes; `classes` if empty.
        groups: Group, as in `malignant`, to its classes.
        warnings: Sentences to read before relying on the answer.

    Examples:
        >>> result = agfnet.load(run).predict(clinical=photo, ultrasound=scan)
        >>> result.label == next(iter(result.probabilities))
        True
        >>> round(sum(result.probabilities.values()), 6), list(result.group_probabilities)[:1]
        (1.0, ['malignant'])
        >>> set(result.prediction_set) <= set(result.classes)
        True
        >>> set(result.percents) == set(result.display_names) == set(result.classes)
        True
        >>> list(result.contributions), result.to_dict()["warnings"] == list(result.warnings)
        (['clinical', 'ultrasound'], True)
        >>> "no diagnosis" in repr(result) if result.foreign else result.label in repr(result)
        True
        >>> result.plot().savefig(folder / "answer.png")
    """

    classes: tuple[str, ...]
    diagnosis: Diagnosis
    images: Mapping[str, Array] = field(default_factory=dict)
    contributions: Mapping[str, float] | None = None
    lesion_id: str = ""
    names: tuple[str, ...] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.classes[int(self.diagnosis.probabilities.argmax())]

    @cached_property
    def probabilities(self) -> dict[str, float]:
        """Class to calibrated probability, the most probable class first."""
        values = self.diagnosis.probabilities
        order = np.argsort(-values, kind="stable")
        return {self.classes[c]: float(values[c]) for c in order}

    @cached_property
    def group_probabilities(self) -> dict[str, float]:
        """Group to the sum of the probabilities of its classes, `malignant` first."""
        return {
            group: sum(self.probabilities[name] for name in members)
            for group, members in self.groups.items()
        }

    @property
    def percents(self) -> dict[str, str]:
        """Class to its probability in whole per cent, as shown; they add up to the groups."""
        texts = map(percent_text, self.diagnosis.percents)
        return dict(zip(self.classes, texts, strict=True))

    @property
    def prediction_set(self) -> tuple[str, ...] | None:
        """Classes that cannot be ruled out, the most probable first; None without calibration."""
        members = self.diagnosis.prediction_set
        if members is None:
            return None
        inside = {name for name, member in zip(self.classes, members, strict=True) if member}
        return tuple(name for name in self.probabilities if name in inside)

    @property
    def foreign(self) -> tuple[str, ...]:
        """Modalities with a picture of another kind than the training images.

        If there are any, the probabilities have no meaning: a notebook, the plot and the web page
        show no diagnosis.
        """
        return self.diagnosis.foreign

    @property
    def display_names(self) -> dict[str, str]:
        """Class to its name for readers, in the order of `classes`."""
        return dict(zip(self.classes, self._shown, strict=True))

    @property
    def _shown(self) -> tuple[str, ...]:
        return self.names or self.classes

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain values, for JSON."""
        members = self.prediction_set
        return {
            "lesion_id": self.lesion_id,
            "label": self.label,
            "probabilities": self.probabilities,
            "groups": self.group_probabilities,
            "prediction_set": None if members is None else list(members),
            "abstain": self.diagnosis.abstain,
            "out_of_distribution": self.diagnosis.out_of_distribution,
            "quality": {name: list(hints) for name, hints in self.diagnosis.quality.items()},
            "foreign": list(self.foreign),
            "warnings": list(self.warnings),
            "contributions": None if self.contributions is None else dict(self.contributions),
            "notice": NOTICE,
        }

    def plot(self) -> Figure:
        """Draw the images and the probabilities; `.savefig(FILE)` of the figure saves them."""
        from agfnet.inference.figure import draw_picture

        figure, _ = draw_picture(classes=self._shown, diagnosis=self.diagnosis, images=self.images)
        return figure

    def __repr__(self) -> str:
        if self.foreign:
            return f"<Result no diagnosis, foreign: {', '.join(self.foreign)}; {NOTICE}>"
        p = self.percents[self.label]
        return f"<Result {self.label!r} {p}; {NOTICE}>"

    def _repr_html_(self) -> str:
        from agfnet.explain.show.overlay import thumbnail
        from agfnet.pages.render import render

        shown = self.display_names
        groups, bars = self.group_probabilities.items(), self.probabilities.items()
        contributions = self.contributions or {}
        if self.foreign:
            groups, bars, contributions = {}.items(), {}.items(), {}
        heading = sentence(self._shown, self.diagnosis)
        return render(
            "result.html.jinja",
            heading=heading,
            images={name: thumbnail(pixels) for name, pixels in self.images.items()},
            groups=[(name, percent(p)) for name, p in groups],
            bars=[(shown[name], p, self.percents[name]) for name, p in bars],
            warnings=[text for text in self.warnings if text != heading],
            contributions={name: f"{100 * value:+.0f}" for name, value in contributions.items()},
        )


class Results(list[Result]):
    """The answers for the lesions of a table, in its order.

    Examples:
        >>> results = agfnet.load(run).predict([{"clinical": photo}, {"ultrasound": scan}])
        >>> [row["label"] for row in results.rows()] == [result.label for result in results]
        True
    """

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with a row for each lesion, as `rows` does.

        Raises:
            ModuleNotFoundError: pandas is not installed.
        """
        from pandas import DataFrame

        return DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """Return the answers as flat rows: `lesion_id`, `label`, `p_CLASS`, `abstain`, ..."""
        return [
            {
                "lesion_id": result.lesion_id,
                "label": result.label,
                **{f"p_{name}": result.probabilities[name] for name in result.classes},
                "prediction_set": "|".join(result.prediction_set or ()),
                "abstain": result.diagnosis.abstain,
                "out_of_distribution": result.diagnosis.out_of_distribution,
                "foreign": "|".join(result.foreign),
            }
            for result in self
        ]

    def _repr_html_(self) -> str:
        from agfnet.pages.render import render

        return render("results.html.jinja", results=self[:50], count=len(self))
