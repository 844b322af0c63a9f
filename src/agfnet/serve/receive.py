"""DICOM storage (C-STORE): a scanner or archive sends images into the watched folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agfnet.config import ModalityConfig, ServeConfig
from agfnet.errors import ConfigError
from agfnet.files import write_bytes

SUCCESS, NO_ROOM, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000
"""Status of a C-STORE (PS3.4, table B.2-1)."""
UID = re.compile(r"(?=.{1,64}$)[0-9]+(\.[0-9]+)*")  # `..` would leave the folder
ULTRASOUND = ("US", "IVUS")
"""Values of `Modality` of ultrasound; others are photographs."""
STORAGE = (
    "UltrasoundImageStorage",
    "UltrasoundMultiFrameImageStorage",
    "VLPhotographicImageStorage",
    "VLEndoscopicImageStorage",
    "VLMicroscopicImageStorage",
    "DermoscopicPhotographyImageStorage",
    "SecondaryCaptureImageStorage",
    "MultiFrameTrueColorSecondaryCaptureImageStorage",
    "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
)
VERIFICATION = "1.2.840.10008.1.1"
"""SOP class of C-ECHO."""
MAX_ASSOCIATIONS = 8


class Receiver:
    """Storage provider that writes `STUDY/MODALITY/IMAGE.dcm` to the watched folder.

    A study is one lesion. DICOM has no token: who can reach the port can send images.

    Args:
        config: `watch`, `host` and the settings that begin with `receive`.
        modalities: the modalities of the model.

    Raises:
        ConfigError: pynetdicom is not installed, or the port is in use.
    """

    def __init__(self, *, config: ServeConfig, modalities: Mapping[str, ModalityConfig]) -> None:
        try:
            from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt, sop_class
        except ImportError:
            text = "receive_port needs pynetdicom; pip install 'agfnet[pacs]'"
            raise ConfigError(text) from None
        self.folder = Path(config.watch or "")
        self._max_bytes = config.request_mb << 20
        self._fields = {
            ultrasound: next(
                (
                    n
                    for n, m in modalities.items()
                    if (m.modality_type == "ultrasound") == ultrasound
                ),
                None,
            )
            for ultrasound in (False, True)
        }
        entity = AE(ae_title=config.receive_title)
        entity.require_called_aet = True
        entity.maximum_associations = MAX_ASSOCIATIONS
        for name in STORAGE:
            entity.add_supported_context(getattr(sop_class, name), ALL_TRANSFER_SYNTAXES)
        entity.add_supported_context(VERIFICATION)
        try:
            server = entity.start_server(
                (config.host, config.receive_port or 0),
                block=False,
                evt_handlers=[(evt.EVT_C_STORE, self.store)],
            )
        except OSError as error:
            raise ConfigError(
                f"receive_port: cannot listen on {config.receive_port} ({error.strerror});"
                " choose another port"
            ) from error
        assert server is not None  # it does not block
        self._server = server

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def store(self, event: Any) -> int:
        """Write one image, as it came; return the status of the C-STORE."""
        try:
            header = event.dataset
            study, image = str(header.StudyInstanceUID), str(header.SOPInstanceUID)
            modality = self._fields[header.get("Modality") in ULTRASOUND]
            content = event.encoded_dataset()
        except Exception:  # the parser raises anything on damaged data
            return NOT_UNDERSTOOD
        if modality is None or not UID.fullmatch(study) or not UID.fullmatch(image):
            return NOT_UNDERSTOOD
        if len(content) > self._max_bytes:
            return NO_ROOM
        try:
            write_bytes(self.folder / study / modality / f"{image}.dcm", content)
        except OSError:
            return NO_ROOM
        return SUCCESS

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
