"""Settings of bundles: prediction, export, serving, sharing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from agfnet.config.ranges import Fraction, Range, Settings, Workers, parse_shard
from agfnet.errors import ConfigError

Backend = Literal["auto", "torch", "onnx", "int8"]
Seconds = Annotated[float, Range(0.1, 3600)]
Megabytes = Annotated[int, Range(1, 1e6)]


@dataclass(frozen=True)
class PredictConfig(Settings):
    """Diagnose one lesion, or every lesion of a table."""

    model: str
    """Bundle, or run folder that contains one."""
    images: dict[str, str] | None = None
    """One lesion: image file of each modality, as in `--images.clinical photo.jpg
    --images.ultrasound scan.dcm`. Several files of one modality are joined by `|`, and `scan.dcm#3`
    is one frame of a file, counted from 0."""
    cases: str | None = None
    """Several lesions: a cases table, labelled or not, of any length. To resume after an
    interruption, run the same command again."""
    out: str = "predictions.csv"
    """Predictions of a table. `frames.csv` (predictions of each frame) and `decisions.csv`
    (prediction sets and referrals) are written to the same folder; for `x.csv` they are named
    `x_frames.csv` and `x_decisions.csv`."""
    shard: str | None = None
    """Predict the i-th of n shards of the table, as in `2/8`, into files with the shard in their
    names (`predictions_2-of-8.csv`). For job arrays."""
    on_error: Literal["stop", "skip"] = "stop"
    """What to do with an image that cannot be read. `stop` ends the command. `skip` leaves the
    lesion out, lists it in `problems.csv` (or `x_problems.csv`), and exits with code 1."""
    parquet: bool = False
    """Copy the tables of predictions to Parquet files next to them as well (extra `parquet`)."""
    picture: str | None = None
    """File for a figure of the diagnosis of one lesion (PNG, PDF or SVG)."""
    dicom: str | None = None
    """File for the answer for one lesion as a DICOM structured report."""
    dicom_identifiers: bool = False
    """Copy the identifiers of the patient and the study from the DICOM images to the report."""
    backend: Backend = "auto"
    """Runtime of the network: `torch`, or a graph made by `agfnet export` (`onnx`, `int8`). `auto`
    uses `onnx` if the bundle has it, and torch otherwise."""
    executor: Literal["local", "ray"] = "local"
    """`local`: in this process. `ray`: the rows of a table in workers of a Ray cluster (needs
    agfnet[cluster]), which must find model and images at the same paths. The tables are the same to
    the last byte, if a worker has the threads of one process."""
    workers: Workers = 0
    """Ray: number of workers, each with a copy of the model; 0 uses all cores of the cluster."""
    address: str | None = None
    """Ray: address of the cluster, as in `auto` or `10.0.0.1:6379`. This machine if unset."""
    cpus: Annotated[int, Range(1, 1024)] | None = None
    """Ray: CPU cores and threads of a worker; 1 if unset."""
    gpus: Annotated[float, Range(0, 64)] = 0.0
    """Ray: GPUs of a worker; 0.5 puts two workers on one GPU."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.executor == "ray" and self.cases is None:
            raise ConfigError("executor: needs --cases TABLE")
        for name in ("workers", "address", "cpus", "gpus"):
            if getattr(self, name) and self.executor != "ray":
                raise ConfigError(f"{name}: needs --executor ray")
        if (self.images is None) == (self.cases is None):
            raise ConfigError("set either --images.MODALITY FILE for one lesion, or --cases TABLE")
        if self.cases is not None and self.picture is not None:
            raise ConfigError("picture: needs --images.MODALITY, not --cases")
        if self.cases is not None and self.dicom is not None:
            raise ConfigError("dicom: needs --images.MODALITY, not --cases")
        if self.parquet and self.cases is None:
            raise ConfigError("parquet: needs --cases TABLE")
        if self.shard is not None:
            parse_shard(self.shard, "shard")
            if self.cases is None:
                raise ConfigError("shard: needs --cases TABLE")


@dataclass(frozen=True)
class ExportConfig(Settings):
    """Add an ONNX graph to the bundle of a run, for prediction without torch, faster on a CPU."""

    run: str
    """Run folder."""
    cases: str | None = None
    """Cases table with a train and a val split. The table of the run if unset."""
    standard: bool = False
    """Use only operators of the ONNX standard, for runtimes other than ONNX Runtime. The graph is
    then slightly slower in ONNX Runtime."""
    int8: bool = False
    """Add an int8 copy as well, calibrated on training cases and evaluated on the val split."""
    max_loss: Fraction = 0.005
    """Maximum decrease of the balanced accuracy by int8 (0.005 is half a percentage point); the
    int8 graph is discarded if it loses more."""


@dataclass(frozen=True)
class ServeConfig(Settings):
    """Serve a bundle: a web page for clinicians and an API for programs."""

    bundle: str
    """Bundle, or run folder that contains one."""
    host: str = "127.0.0.1"
    """Address to listen on. The default accepts connections from this machine only; in a container
    set `0.0.0.0`."""
    port: Annotated[int, Range(0, 65535)] = 8000
    """Port to listen on; 0 takes a free one."""
    hosts: list[str] = field(default_factory=lambda: ["localhost", "127.0.0.1", "[::1]"])
    """Allowed values of the Host header, without port. Other requests are refused, so that no other
    web page can reach the server under another name. `[*]` allows all."""
    root_path: str = ""
    """Path below which a proxy offers the server, as in `/agfnet`. Needed only if the proxy does
    not remove this path from requests."""
    token_file: str | None = None
    """File with the token (16 characters or more) that every request must carry. If unset, the
    environment variable AGFNET_TOKEN; without both, no token is needed."""
    backend: Backend = "auto"
    """Runtime of the network, as in `predict`."""
    allow_uncalibrated: bool = False
    """Serve a bundle without calibration, whose probabilities are only scores."""
    spool: str | None = None
    """Folder for uploads during a request and for batches, which then survive a restart of the
    server; it should be on an encrypted disk. If unset, memory (/dev/shm) if available, or the
    folder for temporary files, and a restart deletes the batches."""
    workers: Annotated[int, Range(1, 256)] | None = None
    """Processes that read images and run the network, each for one lesion at a time. If unset, one
    per core, at most four."""
    worker_mb: Annotated[int, Range(256, 1e6)] = 4096
    """Maximum memory of a worker, in MB; protects against files that unpack to more."""
    queue: Annotated[int, Range(0, 10_000)] | None = None
    """Maximum number of waiting requests; further requests are refused with status 503. The number
    of workers if unset."""
    wait_s: Seconds = 10
    """Maximum time that a request waits for a worker, in seconds."""
    work_s: Seconds = 60
    """Maximum time for a request, in seconds; its worker is then restarted."""
    upload_s: Seconds = 60
    """Maximum time for an upload, in seconds."""
    shutdown_s: Annotated[int, Range(0, 3600)] = 60
    """Time that running requests get to finish when the server stops, in seconds."""
    request_mb: Megabytes = 64
    """Maximum size of a request with one lesion, in MB."""
    files: Annotated[int, Range(1, 10_000)] = 32
    """Maximum number of image files of a lesion."""
    megapixels: Annotated[float, Range(0.01, 150)] = 64
    """Maximum size of an image or a frame, in millions of pixels. Phones of "50 megapixels" have up
    to 50.2."""
    frames: Annotated[int, Range(1, 10_000)] = 256
    """Maximum number of frames of a lesion, over all its files."""
    batch_mb: Megabytes = 512
    """Maximum size of a batch upload, in MB."""
    batch_upload_s: Seconds = 600
    """Maximum time for a batch upload, in seconds."""
    batch_unpacked_mb: Megabytes = 2048
    """Maximum size of the unpacked files of a batch, in MB."""
    batch_files: Annotated[int, Range(1, 1e6)] = 20000
    """Maximum number of files in the zip of a batch."""
    batches: Annotated[int, Range(0, 1000)] = 4
    """Maximum number of batches that are kept at the same time."""
    batch_keep_s: Annotated[float, Range(1, 1e6)] = 3600
    """Time after which the results of a finished batch are deleted, in seconds."""
    watch: str | None = None
    """Folder to watch. A folder in it has the images of one lesion, whose names (or those of their
    folders) begin with the modality, as in `clinical.jpg`. Its answer is written to
    `agfnet_answer.json` in it; delete this file to have the lesion answered again."""
    watch_settle_s: Annotated[float, Range(0, 3600)] = 10
    """Time for which the files of a watched lesion must be unchanged before it is answered, in
    seconds."""
    watch_report: Literal["none", "anonymous", "identified"] = "none"
    """DICOM structured report of each watched lesion, `agfnet_answer.dcm`: none, without
    identifiers, or with those of the patient and the study, copied from its DICOM images."""
    receive_port: Annotated[int, Range(0, 65535)] | None = None
    """Port for DICOM images (C-STORE), which are written to the watched folder, one lesion for each
    study; 0 takes a free one. Anybody who can reach the port can send images."""
    receive_title: str = "AGFNET"
    """DICOM application entity title of the server, at most 16 characters."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.receive_port is not None and self.watch is None:
            raise ConfigError("receive_port: needs --watch DIR, to which the images are written")
        if not 1 <= len(self.receive_title.strip()) <= 16 or not self.receive_title.isascii():
            raise ConfigError("receive_title: expected 1 to 16 ASCII characters")


@dataclass(frozen=True)
class BundleActionConfig(Settings):
    """Show or verify a bundle, write it for MONAI, or exchange it with a model hub."""

    action: Literal["show", "verify", "monai", "push", "pull"]
    """`show` its content, `verify` every file against its SHA-256, write its files in the layout of
    a `monai` bundle, `push` it to a repository of a model hub, or `pull` it from one. Only `push`
    and `pull` use the network."""
    folder: str
    """Bundle, or run folder that contains one; for `pull`, the folder to write."""
    out: str | None = None
    """For `monai`: folder to write; it must not exist."""
    repo: str | None = None
    """Repository on the hub, `owner/name`."""
    private: bool = True
    """Make a repository that `push` creates private."""
