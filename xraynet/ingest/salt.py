"""Patient keys: the same patient gives the same key at one site, and nobody without the site's salt can turn it back.

A key is HMAC-SHA256(site salt, issuer and PatientID). The salt lives in a file of mode 0600 outside every catalogue and is
made once; a catalogue holds only its fingerprint, so that keys of two sites are never compared by mistake. File names
need the same care: ChestX-ray14's begin with the patient's number, a hospital's may hold a name.
"""

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Final

from xraynet.errors import CatalogueError

_SALT_BYTES: Final = 32
_KEY_DIGITS: Final = 32


def default_salt_path() -> Path:
    """Where the site's salt lives unless ``--salt-file`` says otherwise: below XDG_CONFIG_HOME, or ~/.config."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "xraynet" / "patient-salt"


def read_or_make_salt(path: Path) -> bytes:
    """The salt in that file, made there (mode 0600) where it is not there yet.

    Raises CatalogueError where the file is no salt, or others than its owner may read it.
    """
    if path.exists():
        return _read_salt(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CatalogueError(f"the salt file {path} cannot be made: {error}; name another with --salt-file") from error
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        salt = secrets.token_bytes(_SALT_BYTES)
        stream.write(salt.hex() + "\n")
    return salt


def _read_salt(path: Path) -> bytes:
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii")
        salt = bytes.fromhex(text.strip())
    except (OSError, ValueError) as error:
        raise CatalogueError(
            f"the salt file {path} cannot be read as {_SALT_BYTES * 2} hex digits: {type(error).__name__}"
        ) from error
    if os.name == "posix" and mode & 0o077:
        raise CatalogueError(f"the salt file {path} has mode {mode & 0o777:o}, so others may read it; run: chmod 600 {path}")
    if len(salt) != _SALT_BYTES:
        raise CatalogueError(f"the salt file {path} holds {len(salt)} bytes; {_SALT_BYTES} were expected")
    return salt


def salt_fingerprint(salt: bytes) -> str:
    """16 hex digits that tell two salts apart and give neither away (a salt has 256 random bits)."""
    return hashlib.sha256(b"xraynet patient salt\0" + salt).hexdigest()[:16]


def patient_key(patient_id: str, *, issuer: str, salt: bytes) -> str:
    """The key of a patient at one site, 32 hex digits.

    >>> patient_key("61", issuer="nih", salt=b"s" * 32) == patient_key("61", issuer="jsrt", salt=b"s" * 32)
    False
    """
    # JSON keeps ("ab", "c") and ("a", "bc") apart.
    message = json.dumps([issuer.strip(), patient_id.strip()], ensure_ascii=True).encode("ascii")
    return hmac.new(salt, message, hashlib.sha256).hexdigest()[:_KEY_DIGITS]


def reader_key(name: str, *, salt: bytes) -> str:
    """What a catalogue calls a reader whose table gives a person's name: the same at one site, and nobody's name.

    >>> reader_key("Dr. Ada", salt=b"s" * 32) == reader_key("dr.  ada", salt=b"s" * 32)
    True
    """
    message = json.dumps(["reader", " ".join(name.split()).casefold()], ensure_ascii=True).encode("ascii")
    return f"reader-{hmac.new(salt, message, hashlib.sha256).hexdigest()[:12]}"
