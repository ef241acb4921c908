"""TLS for both directions: 1.2 or newer, and certificates checked where a CA is given (PS3.15 B.12, BCP 195)."""

import ssl

from xraynet.errors import ServiceError
from xraynet.service.node.options import TlsFiles


def make_server_context(files: TlsFiles) -> ssl.SSLContext:
    """The context for peers that call; with a CA only those with a certificate of it. Raises ServiceError for bad files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load(context, files)
    if files.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def make_client_context(files: TlsFiles) -> ssl.SSLContext:
    """The context for calling the archive, whose certificate must be of the CA and for its host's name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key, password=_refuse_password)
        if files.ca is not None:
            context.load_verify_locations(files.ca)
    except (OSError, ValueError) as error:
        names = ", ".join(str(path) for path in (files.certificate, files.key, files.ca) if path is not None)
        raise ServiceError(f"TLS cannot be set up with {names}: {error}") from error


def _refuse_password() -> str:
    # OpenSSL would ask on the terminal, and a service has none.
    raise ValueError("the key has a password; one without was expected")
