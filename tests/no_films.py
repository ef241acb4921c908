"""Fails where the repository holds a film, a table of annotations' films, or a file too large to keep."""

import subprocess
import sys
from pathlib import Path

FILM_SUFFIXES = (".dcm", ".dicom", ".ima", ".mha", ".mhd", ".img", ".nii", ".jpg", ".jpeg", ".npy", ".npz", ".parquet")
LARGEST_BYTES = 50_000_000


def main() -> int:
    """0 where all is well; 1, with the offenders on standard error, where it is not."""
    names = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True, text=True).stdout.split("\0")
    films = [name for name in names if name.lower().endswith(FILM_SUFFIXES)]
    large = [name for name in names if name and Path(name).is_file() and Path(name).stat().st_size > LARGEST_BYTES]
    for name in films:
        sys.stderr.write(f"{name}: films and arrays are never committed\n")
    for name in large:
        sys.stderr.write(f"{name}: larger than {LARGEST_BYTES} bytes\n")
    return 1 if films or large else 0


if __name__ == "__main__":
    sys.exit(main())
