"""What the detector said of a film, kept with the reader's actions: a later run cannot change what he said yes or no to."""

import hashlib
import json
from dataclasses import dataclass

from xraynet.findings import Reading
from xraynet.reading_file import reading_to_dict


@dataclass(frozen=True)
class DetectorResults:
    """A reading of the detector, and the digest of all that it says."""

    digest: str
    reading: Reading

    @classmethod
    def of(cls, reading: Reading) -> "DetectorResults":
        """The results of a reading."""
        return cls(hashlib.sha256(_to_text(reading).encode("utf-8")).hexdigest(), reading)

    @property
    def text(self) -> str:
        """The reading as ``reading.json`` has it, on one line."""
        return _to_text(self.reading)


def _to_text(reading: Reading) -> str:
    return json.dumps(reading_to_dict(reading), ensure_ascii=False, allow_nan=False, sort_keys=True)
