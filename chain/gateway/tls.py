"""TLS with client certificates: whoever shows one must have it from the authority; who shows none is a stranger."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from chain.errors import Faulty


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The gateway's own certificate with its key, and the authority whose client certificates count; all PEM."""

    certificate: Path
    key: Path
    authority: Path

    def context(self) -> ssl.SSLContext:
        """Raises Faulty `home_invalid` when a file is missing, damaged, or the key is another certificate's."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_OPTIONAL
        try:
            context.load_cert_chain(self.certificate, self.key)
            context.load_verify_locations(self.authority)
        except (OSError, ssl.SSLError) as error:
            raise Faulty("home_invalid", f"reading {self.certificate}, its key and {self.authority}: {error}") from None
        return context
