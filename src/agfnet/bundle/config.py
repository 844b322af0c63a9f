"""Settings that inference needs in addition to the weights: `config.json`."""

from __future__ import annotations

from dataclasses import dataclass, field

from agfnet import __version__
from agfnet.config import DiagnosisConfig, ModalityConfig, ModelConfig
from agfnet.diagnoses import describe_classes, members

SCHEMA = 6
"""6: flips, ensembles.
5: the second design of AGFnet, whose weights do not fit the first (docs/decisions/022).
4: present names of settings (see `agfnet.config.renamed`).
3: `model.fusion.resolution`, without which a network uses every place of its feature maps.
2: SHA256SUMS, which schema 1 does not have."""


@dataclass(frozen=True)
class BundleConfig:
    """Everything that inference needs in addition to the weights: `config.json`."""

    classes: tuple[str, ...]
    """Class names in the order of the logits."""
    labels: list[str] | dict[str, list[str]] | None
    """Classes that the labels of a table become, as in `data.labels`."""
    modalities: dict[str, ModalityConfig]
    """Image inputs in order."""
    size: int
    """Side of the square input, in pixels."""
    mean: tuple[float, ...]
    """Mean per RGB channel on a 0 to 1 scale."""
    std: tuple[float, ...]
    """Standard deviation per RGB channel on a 0 to 1 scale."""
    model: ModelConfig
    """The network, without its initial weights."""
    data_hash: str
    """SHA-256 of the training table (see `environment.json` of the run)."""
    cases: dict[str, dict[str, int]] | None = None
    """Numbers of labelled cases in training (`train`) and calibration (`val`), by class."""
    diagnoses: dict[str, DiagnosisConfig] = field(default_factory=dict)
    """Names and group of every class; those of the dictionary in bundles without them."""
    simulated: bool = False
    """The training lesions were simulated (see `agfnet phantom`)."""
    members: int = 1
    """Number of networks; with two or more, the bundle holds an ensemble."""
    optional: tuple[str, ...] | None = None
    """Modalities that the network was trained to do without; None if unknown."""
    agfnet: str = __version__
    """Version of agfnet that wrote the bundle."""
    schema: int = SCHEMA
    """Version of this layout."""

    def __post_init__(self) -> None:
        settings = {name: self.diagnoses[name] for name in self.classes if name in self.diagnoses}
        described = describe_classes(self.classes, settings, self.labels)
        object.__setattr__(self, "diagnoses", described)

    @property
    def network(self) -> str:
        """Name of the network, or what the ensemble consists of."""
        name: str = self.model.method
        return name if self.members == 1 else f"ensemble of {self.members} x {name}"

    @property
    def names(self) -> tuple[str, ...]:
        """English names of the classes, in the order of the logits."""
        return tuple(entry.en or name for name, entry in self.diagnoses.items())

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Classes of each group, the group `malignant` first."""
        return members(self.diagnoses)

    @property
    def group_numbers(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of the classes of each group, in the order of `groups`."""
        return tuple(tuple(map(self.classes.index, names)) for names in self.groups.values())
