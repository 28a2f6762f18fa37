"""An emulated TPM and what it says."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from appliance.agent.tpm.attestation_key import AttestationKey, Quote
from appliance.agent.tpm.identity_key import TpmIdentityKey
from appliance.agent.tpm.tools import Tpm
from tests import swtpm

NONCE = bytes(range(32))


@dataclass
class Spoken:
    """One TPM's keys and one of each of its statements."""

    tpm: Tpm
    key: AttestationKey
    identity: TpmIdentityKey
    quote: Quote
    certification: tuple[bytes, bytes]


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spoken]:
    with swtpm.running(swtpm.manufactured(tmp_path_factory.mktemp("spoken"))) as tcti:
        tpm = Tpm(tcti)
        key, identity = AttestationKey(tpm), TpmIdentityKey(tpm)
        yield Spoken(tpm, key, identity, key.quote(NONCE), key.certify(identity))
