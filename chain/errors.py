"""One registry of everything that can be refused or fail, and the exceptions that carry it.

A code is stable: scripts match on it, the hub counts by it, `docs/error-codes.md` is generated from it. A message says
what was attempted and with which value; what to do next stands here, once per code.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """`number` is what the ledger returns over ABCI (0 is success); `meaning` and `remedy` are one sentence each."""

    number: int
    meaning: str
    remedy: str


REGISTRY: dict[str, ErrorCode] = {
    # Formats
    "malformed": ErrorCode(
        1, "The bytes are not the format they should be.", "Check the producer against docs/protocol.md."
    ),
    "non_canonical": ErrorCode(
        2, "The bytes decode, but are not the canonical encoding.", "Encode with RFC 8949 core deterministic rules."
    ),
    "too_large": ErrorCode(
        3, "The message is over its size limit.", "Split it, or look up the limit in docs/protocol.md."
    ),
    "bad_signature": ErrorCode(
        4,
        "The signature does not belong to this key and these bytes.",
        "Sign again with the key that the message names.",
    ),
    "bad_key": ErrorCode(5, "The public key is not a valid Ed25519 or P-256 key.", "Check the COSE_Key."),
    # Transactions
    "tx_unknown_type": ErrorCode(10, "No transaction has this type.", "Look up the types in docs/economics.md."),
    "tx_bad_nonce": ErrorCode(
        11, "The nonce is not the account's next one.", "Query the account and sign with its nonce."
    ),
    "tx_insufficient_funds": ErrorCode(
        12, "The account cannot pay amount and fee.", "Fund the account, or let a sponsor pay the fee."
    ),
    "tx_fee_too_low": ErrorCode(
        13, "The fee is below the chain's minimum.", "Pay at least the fee that the chain parameters name."
    ),
    "tx_expired": ErrorCode(14, "The transaction's last valid height is past.", "Sign again with a later height."),
    "tx_unauthorised": ErrorCode(
        15, "This account may not send this transaction.", "Use the account that holds the role."
    ),
    "tx_overflow": ErrorCode(16, "An amount leaves the range 0 to 2^128 - 1.", "Check the amounts."),
    "tx_known_device": ErrorCode(17, "The device is registered already.", "Revoke it first, or use another key."),
    "tx_unknown_device": ErrorCode(18, "The device is not registered on the chain.", "Register it first."),
    "tx_wrong_epoch": ErrorCode(
        19, "The batch names a reward epoch that cannot be reported now.", "Report epoch e before e+1 ends."
    ),
    "tx_duplicate": ErrorCode(20, "The same thing was reported already.", "Nothing to do: the first report counts."),
    "tx_late": ErrorCode(
        21, "The commitment came after its window.", "Commit within pog_window of the challenge block."
    ),
    "tx_system": ErrorCode(
        22, "Type 0 belongs to the block's proposer alone.", "Do not broadcast beacon transactions."
    ),
    "tx_quota": ErrorCode(
        23, "The sponsor's quota for this owner is used up.", "Pay the fee from the owner's account."
    ),
    "tx_limit": ErrorCode(25, "Too many of these are open at once.", "Wait until some of them are done."),
    "tx_known_key": ErrorCode(26, "The key belongs to an operator already.", "Make a new key: none is used twice."),
    "tx_unknown_operator": ErrorCode(27, "This account has never bonded.", "Bond first: dccn node bond."),
    "tx_jailed": ErrorCode(
        28, "The operator's jail does not allow this.", "Look up jailed_until; a double sign is for ever."
    ),
    "tx_not_proven": ErrorCode(
        29, "The evidence does not prove what it should.", "Send what was signed, unchanged, with its signatures."
    ),
    "tx_unknown_batch": ErrorCode(
        39, "No such batch waits for its settlement.", "Dispute a batch within its challenge window."
    ),
    "tx_unknown_deal": ErrorCode(40, "No such deal is open.", "Query the deal; a closed one cannot change."),
    "tx_stake_too_low": ErrorCode(
        41, "The provider bonds less than jobs ask for.", "Bond at least min_provider_stake, or choose another."
    ),
    "bridge_uncovered": ErrorCode(
        42, "Less is locked for this form than should be released.", "Look at the burn again: nobody can burn more."
    ),
    "bridge_limit": ErrorCode(
        43, "The bridge would release more than its daily limit.", "Attest again on the next day of UTC."
    ),
    "bridge_paused": ErrorCode(44, "The bridge is paused.", "Wait until two thirds of the stake let it go on."),
    "bridge_closed": ErrorCode(45, "Nobody guards the bridge.", "Two thirds of the stake choose its guardians."),
    "tx_not_registered": ErrorCode(38, "Nothing of this kind is registered.", "Register it first."),
    "mempool_full": ErrorCode(
        24, "The node's queue of transactions is full.", "Wait for the next block and send it again."
    ),
    # Blocks and light client
    "block_invalid": ErrorCode(30, "The block breaks a rule of the chain.", "Compare the versions of the nodes."),
    "beacon_invalid": ErrorCode(
        31, "The VRF proof does not belong to the proposer and this height.", "Compare the genesis files."
    ),
    "light_invalid": ErrorCode(32, "The header or its commit does not verify.", "Ask another node; this one may lie."),
    "light_not_enough_trust": ErrorCode(
        33, "Too few trusted validators signed the new header.", "Fetch a header in between."
    ),
    "light_expired": ErrorCode(
        34, "The trusted header is older than the trusting period.", "Start from a fresh trusted height and hash."
    ),
    "proof_invalid": ErrorCode(
        35, "The inclusion or state proof does not lead to the root.", "Ask another node; this one may lie."
    ),
    "height_unknown": ErrorCode(
        36, "The node has no block or state of this height.", "Ask for another height, or ask another node."
    ),
    "tx_not_found": ErrorCode(
        37, "No block here holds a transaction with this hash.", "Wait for the next block, or send it again."
    ),
    # Work records
    "record_foreign": ErrorCode(
        50, "The record names another device than its topic or signer.", "One key, one device: do not copy identities."
    ),
    "record_replay": ErrorCode(51, "The record was accepted already.", "Nothing to do: the receipt is given again."),
    "record_gap": ErrorCode(
        52, "Records before this one are missing.", "Send the missing sequence numbers that the receipt lists."
    ),
    "record_contradiction": ErrorCode(
        53,
        "Two different signed records carry one sequence number.",
        "The device's key is used twice; its honesty is now 0.",
    ),
    "record_future": ErrorCode(
        54,
        "The record ends later than the hub's clock allows.",
        "Set the device's clock; it takes its time from the hub.",
    ),
    "record_stale": ErrorCode(
        55, "The record is older than the hub accepts.", "Records count within their retention; see docs/protocol.md."
    ),
    "record_broken_chain": ErrorCode(
        56, "The record's prev is not the hash of its predecessor.", "Start a new record chain by enrolling again."
    ),
    "delegation_invalid": ErrorCode(
        57,
        "The identity key did not certify this record key.",
        "Publish the delegation before the boot's first record.",
    ),
    "record_pending": ErrorCode(58, "The record is in no block yet.", "Ask again when its reward epoch is over."),
    # Devices and topics
    "device_unregistered": ErrorCode(
        60, "The device is not registered on the chain.", "Enrol it; the hub sponsors the registration."
    ),
    "device_unknown": ErrorCode(61, "The hub does not know this device.", "Enrol it with a token or a claim code."),
    "topic_unknown": ErrorCode(62, "No message belongs on this topic.", "See the topic tree in docs/protocol.md."),
    "certificate_expired": ErrorCode(
        63, "The client certificate has expired.", "Renew it against the identity key: dccn agent does so itself."
    ),
    "token_invalid": ErrorCode(
        64, "The enrolment token is unknown, used or expired.", "Make a new one: dccn hub token."
    ),
    "claim_invalid": ErrorCode(
        65, "The claim code is unknown, used or expired.", "Read the code again from the device."
    ),
    "claim_pending": ErrorCode(66, "Nobody has claimed the device yet.", "Type its code on the hub's page."),
    "rate_limited": ErrorCode(67, "Too many attempts.", "Wait a minute and try again."),
    "not_admin": ErrorCode(
        68, "The admin secret is missing or wrong.", "Use the secret that the hub printed at its first start."
    ),
    "ca_mismatch": ErrorCode(
        69, "The hub's CA is not the one the token pins.", "Check the hub's address; somebody may be in between."
    ),
    "command_invalid": ErrorCode(
        70,
        "The command is unsigned, expired, for another device, or older than the last.",
        "Only the hub's command key commands.",
    ),
    # Proof of GPU compute
    "pog_malformed": ErrorCode(
        80, "The proof of compute is not complete or not of its profile.", "Check it against docs/proofs.md."
    ),
    "pog_wrong_beacon": ErrorCode(
        81, "The proof answers another challenge.", "Answer the beacon of the announced height."
    ),
    "pog_wrong_row": ErrorCode(
        82, "An opened row is not the exact product.", "Check the card: an honest computation has no tolerance."
    ),
    "pog_wrong_path": ErrorCode(
        83, "An opened row does not lead to the committed root.", "Open the rows that were committed."
    ),
    "pog_wrong_indices": ErrorCode(
        84,
        "The opened rows are not those the second beacon draws.",
        "Open on the beacon of the block after the commitment.",
    ),
    "pog_late": ErrorCode(85, "The commitment or its opening came after the window.", "Compute fewer rows."),
    # Wallets and history
    "wallet_unknown": ErrorCode(120, "No wallet has this name.", "List them: dccn wallet list."),
    "wallet_exists": ErrorCode(121, "A wallet has this name already.", "Choose another name, or rename the other one."),
    "wallet_password": ErrorCode(122, "The password does not open the wallet.", "Type it again; nobody can reset it."),
    "wallet_damaged": ErrorCode(
        123, "The wallet file is not one that this program wrote.", "Take a backup of it, or import the words again."
    ),
    "wallet_watch_only": ErrorCode(
        124, "This entry has no key, it only watches.", "Sign where the key is: dccn tx prepare and dccn tx sign."
    ),
    "words_invalid": ErrorCode(
        125, "The words are not a BIP-39 phrase.", "Compare them with your paper: order, spelling, number."
    ),
    "tx_replaced": ErrorCode(
        126, "Another transaction used this one's nonce.", "Look what it was, and sign again if it is still wanted."
    ),
    "index_foreign": ErrorCode(
        127, "The index and the node are not of one chain.", "Follow the index's own chain, or start a new index file."
    ),
    "index_unreachable": ErrorCode(
        128, "The index's database does not answer.", "Start it, or check --db; an indexer goes on by itself."
    ),
    "index_invalid": ErrorCode(
        129, "The index's database cannot be used.", "Choose another --db, or give its user the right named."
    ),
    # Running a node
    "upgrade_needed": ErrorCode(
        140, "The chain's rules change at this height.", "Install the release that knows the new rules, and start it."
    ),
    # The gateway
    "index_absent": ErrorCode(
        130, "This gateway knows no index of the chain's history.", "Start it with --index, the address of an explorer."
    ),
    "gateway_busy": ErrorCode(131, "As many questions are being answered as can be.", "Ask again in a few seconds."),
    "peer_denied": ErrorCode(132, "The gateway denies this peer.", "Ask whoever runs it, or use another gateway."),
    "peer_not_allowed": ErrorCode(
        133, "The gateway serves the peers of its allow list alone.", "Ask whoever runs it, or use another gateway."
    ),
    "peer_banned": ErrorCode(
        134, "This peer made too many faults and is banned.", "Wait as long as Retry-After says, and mend the faults."
    ),
    "peer_over_rate": ErrorCode(
        135, "This peer asks more often than it may.", "Wait as long as Retry-After says; registered devices have more."
    ),
    "device_revoked": ErrorCode(
        136, "The chain has revoked this device.", "Its owner can register it anew; no gateway serves it before."
    ),
    "peer_read_only": ErrorCode(
        137, "This peer may not send this transaction here.", "Send from a registered device, or through your own node."
    ),
    "certificate_nameless": ErrorCode(
        138, "The client certificate names no device.", "Renew it at the hub; dccn agent does so every day."
    ),
    "certificate_needed": ErrorCode(
        139, "The gateway serves no strangers.", "Show the certificate that a hub issued to your device."
    ),
    # The appliance's image
    "build_failed": ErrorCode(
        160, "A step of building the image failed.", "Read the end of build.log beside the image."
    ),
    "disk_refused": ErrorCode(
        161, "This disk must not be written.", "Choose another: dccn image disks lists them with the reason."
    ),
    "flash_failed": ErrorCode(
        162, "The disk did not take what was written to it.", "Try again; a card that fails twice is worn out."
    ),
    # The appliance's doctor
    "repair_unavailable": ErrorCode(
        183, "This repair cannot be made here.", "Make it by hand; on the appliance the root helper makes it."
    ),
    # The appliance's root helper
    "verb_refused": ErrorCode(
        179, "The helper does not do this for this program.", "Look up who may ask for what in docs/appliance-owner.md."
    ),
    "wipe_failed": ErrorCode(
        180,
        "The data of this machine could not be wiped.",
        "Start it again: it tries again; a disk that takes no writes has to be destroyed by other means.",
    ),
    "verb_failed": ErrorCode(
        181, "What the helper tried did not succeed.", "Read the reason given, and the journal of dccn-helper."
    ),
    "pin_refused": ErrorCode(
        182,
        "The owner's PIN is wrong, or there were too many tries.",
        "Wait for the pause to end; a forgotten PIN is replaced by [console] pin in dccn.toml.",
    ),
    # Releases and updates
    "release_invalid": ErrorCode(
        165, "The release or its folder is not as it must be.", "Read what is wrong; nothing was published."
    ),
    "release_unsigned": ErrorCode(
        166, "A release key is missing, or has no say.", "Sign with the keys that dccn release show lists."
    ),
    "update_untrusted": ErrorCode(
        167, "What a release source gave is damaged, old, or not signed as it must be.", "Ask who runs the source."
    ),
    "update_failed": ErrorCode(
        168, "The update could not be installed.", "The running system is untouched; it is tried again."
    ),
    "update_not_now": ErrorCode(
        169, "This machine does not update itself now.", "Read the reason; it is tried again by itself."
    ),
    # Workloads, and what an image needs for them
    "artifacts_missing": ErrorCode(
        176,
        "Files that the image needs are not there, or are not those of artifacts.lock.",
        "Fetch them with --fetch, give their folder with --artifacts, or leave the part out with --without.",
    ),
    "cluster_unreachable": ErrorCode(
        177, "This machine's Kubernetes does not answer.", "On the machine: systemctl status k3s; it may be starting."
    ),
    "workload_refused": ErrorCode(
        178, "Kubernetes refused what was to be run.", "Mend what the reason names, and send it again."
    ),
    # The machine's TPM and what it booted
    "tpm_failed": ErrorCode(
        172, "The TPM did not do what it was asked.", "Check that it is switched on in the firmware's setup, and free."
    ),
    "attestation_invalid": ErrorCode(
        173,
        "The attestation does not prove that this TPM speaks, now.",
        "Ask for a new challenge; a copy proves nothing.",
    ),
    "boot_unknown": ErrorCode(
        174, "The machine booted something else than an image that the hub knows.", "Read the reason; flash it again."
    ),
    "boot_keys_invalid": ErrorCode(
        175, "The folder of Secure Boot keys cannot be used.", "Make one with dccn image keys, and keep it safe."
    ),
    # This machine
    "usage": ErrorCode(90, "The command was used wrongly.", "See --help."),
    "unreachable": ErrorCode(91, "A service that is needed does not answer.", "Start it, or check its address."),
    "port_occupied": ErrorCode(92, "Another program listens on this port.", "Stop it, or choose another port."),
    "engine_missing": ErrorCode(
        93, "An engine that is needed is not installed.", "Run make engines, or install the package named."
    ),
    "disk_full": ErrorCode(94, "The disk is full.", "Free some space; nothing that was acknowledged is lost."),
    "clock_off": ErrorCode(95, "This machine's clock is off.", "Set it; on systemd: timedatectl set-ntp true."),
    "home_invalid": ErrorCode(
        96, "The data directory is not one of ours, is damaged, or is in use.", "Choose another --home."
    ),
    "check_failed": ErrorCode(97, "The check ran and its answer is no.", "Read the reason given."),
    "state_corrupt": ErrorCode(
        98, "Stored state contradicts itself.", "Keep the directory for diagnosis, and sync again from a peer."
    ),
    "not_found": ErrorCode(99, "There is nothing at this address.", "See /schema/openapi.json for what there is."),
    "internal": ErrorCode(
        100, "The program failed where it must not.", "Report it with the lines of the log around it."
    ),
}


class DccnError(Exception):
    """What a user sees instead of a traceback: `code` from `REGISTRY`, and what was attempted with which value."""

    exit_code = 1
    retry_after_s: int | None = None
    """After how long the same may succeed, where that is known."""

    def __init__(self, code: str, message: str) -> None:
        assert code in REGISTRY, f"unregistered error code {code!r}"
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def remedy(self) -> str:
        return REGISTRY[self.code].remedy

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Refused(DccnError):
    """Somebody's input or claim is turned down; the system itself is well."""


class Malformed(Refused):
    """Input that cannot be read as what it should be, or a command used wrongly: exit code 2."""

    exit_code = 2


class Unavailable(DccnError):
    """A dependency cannot be reached: exit code 3."""

    exit_code = 3


class Faulty(DccnError):
    """This installation itself is damaged or out of a resource."""
