"""BIP-39 and SLIP-0010 against their published vectors, and what a mistyped phrase is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain.crypto.keys import PrivateKey
from chain.errors import Malformed
from chain.wallet import derivation, mnemonic

# Source: BIP-39's English test vectors (github.com/trezor/python-mnemonic, vectors.json); their passphrase is TREZOR.
BIP39 = [
    (
        "00000000000000000000000000000000",
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
        "c55257c360c07c72029aebc1b53c05ed0362ada38ead3e3e9efa3708e53495531f09a6987599d18264c1e1c92f2cf141630c7a3c4ab7c81b"
        "2f001698e7463b04",
    ),
    (
        "7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f",
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
        "2e8905819b8723fe2c1d161860e5ee1830318dbf49a83bd451cfb8440c28bd6fa457fe1296106559a3c80937a1c1069be3a3a5bd381ee626"
        "0e8d9739fce1f607",
    ),
    (
        "80808080808080808080808080808080",
        "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
        "d71de856f81a8acc65e6fc851a38d4d7ec216fd0796d0a6827a3ad6ed5511a30fa280f12eb2e47ed2ac03b5c462a0358d18d69fe4f985ec8"
        "1778c1b370b652a8",
    ),
    (
        "ffffffffffffffffffffffffffffffff",
        "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo wrong",
        "ac27495480225222079d7be181583751e86f571027b0497b5b5d11218e0a8a13332572917f0f8e5a589620c6f15b11c61dee327651a14c34"
        "e18231052e48c069",
    ),
    (
        "9e885d952ad362caeb4efe34a8e91bd2",
        "ozone drill grab fiber curtain grace pudding thank cruise elder eight picnic",
        "274ddc525802f7c828d8ef7ddbcdc5304e87ac3535913611fbbfa986d0c9e5476c91689f9c8a54fd55bd38606aa6a8595ad213d4c9c9f9ac"
        "a3fb217069a41028",
    ),
    (
        "f30f8c1da665478f49b001d94c5fc452",
        "vessel ladder alter error federal sibling chat ability sun glass valve picture",
        "2aaa9242daafcee6aa9d7269f17d4efe271e1b9a529178d7dc139cd18747090bf9d60295d0ce74309a78852a9caadf0af48aae1c62538396"
        "24076224374bc63f",
    ),
    (
        "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c",
        "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis "
        "maple dilemma loan word shrug inflict delay length",
        "64c87cde7e12ecf6704ab95bb1408bef047c22db4cc7491c4271d170a1b213d20b385bc1588d9c7b38f1b39d415665b8a9030c9ec653d75e"
        "65f847d8fc1fc440",
    ),
    (
        "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f",
        "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group "
        "space point ten exist slush involve unfold",
        "01f5bced59dec48e362f2c45b5de68b9fd6c92c6634f44d6d40aab69056506f0e35524a518034ddc1192e1dacd32c1ed3eaa3c3b131c88ed"
        "8e7e54c49a5d0998",
    ),
]

SEED_1 = "000102030405060708090a0b0c0d0e0f"
SEED_2 = (
    "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a29f9c999693908d8a8784817e7b7875726f6c696663605d5a"
    "5754514e4b484542"
)
# Source: SLIP-0010, test vectors 1 and 2 for ed25519: seed, path, chain code, private key, public key.
SLIP10 = [
    (
        SEED_1,
        "m",
        "90046a93de5380a72b5e45010748567d5ea02bbf6522f979e05c0d8d8ca9fffb",
        "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7",
        "a4b2856bfec510abab89753fac1ac0e1112364e7d250545963f135f2a33188ed",
    ),
    (
        SEED_1,
        "m/0'",
        "8b59aa11380b624e81507a27fedda59fea6d0b779a778918a2fd3590e16e9c69",
        "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3",
        "8c8a13df77a28f3445213a0f432fde644acaa215fc72dcdf300d5efaa85d350c",
    ),
    (
        SEED_1,
        "m/0'/1'",
        "a320425f77d1b5c2505a6b1b27382b37368ee640e3557c315416801243552f14",
        "b1d0bad404bf35da785a64ca1ac54b2617211d2777696fbffaf208f746ae84f2",
        "1932a5270f335bed617d5b935c80aedb1a35bd9fc1e31acafd5372c30f5c1187",
    ),
    (
        SEED_1,
        "m/0'/1'/2'",
        "2e69929e00b5ab250f49c3fb1c12f252de4fed2c1db88387094a0f8c4c9ccd6c",
        "92a5b23c0b8a99e37d07df3fb9966917f5d06e02ddbd909c7e184371463e9fc9",
        "ae98736566d30ed0e9d2f4486a64bc95740d89c7db33f52121f8ea8f76ff0fc1",
    ),
    (
        SEED_1,
        "m/0'/1'/2'/2'",
        "8f6d87f93d750e0efccda017d662a1b31a266e4a6f5993b15f5c1f07f74dd5cc",
        "30d1dc7e5fc04c31219ab25a27ae00b50f6fd66622f6e9c913253d6511d1e662",
        "8abae2d66361c879b900d204ad2cc4984fa2aa344dd7ddc46007329ac76c429c",
    ),
    (
        SEED_1,
        "m/0'/1'/2'/2'/1000000000'",
        "68789923a0cac2cd5a29172a475fe9e0fb14cd6adb5ad98a3fa70333e7afa230",
        "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
        "3c24da049451555d51a7014a37337aa4e12d41e485abccfa46b47dfb2af54b7a",
    ),
    (
        SEED_2,
        "m",
        "ef70a74db9c3a5af931b5fe73ed8e1a53464133654fd55e7a66f8570b8e33c3b",
        "171cb88b1b3c1db25add599712e36245d75bc65a1a5c9e18d76f9f2b1eab4012",
        "8fe9693f8fa62a4305a140b9764c5ee01e455963744fe18204b4fb948249308a",
    ),
    (
        SEED_2,
        "m/0'",
        "0b78a3226f915c082bf118f83618a618ab6dec793752624cbeb622acb562862d",
        "1559eb2bbec5790b0c65d8693e4d0875b1747f4970ae8b650486ed7470845635",
        "86fab68dcb57aa196c77c5f264f215a112c22a912c10d123b0d03c3c28ef1037",
    ),
    (
        SEED_2,
        "m/0'/2147483647'",
        "138f0b2551bcafeca6ff2aa88ba8ed0ed8de070841f0c4ef0165df8181eaad7f",
        "ea4f5bfe8694d8bb74b7b59404632fd5968b774ed545e810de9c32a4fb4192f4",
        "5ba3b9ac6e90e83effcd25ac4e58a1365a9e35a3d3ae5eb07b9e4d90bcf7506d",
    ),
    (
        SEED_2,
        "m/0'/2147483647'/1'",
        "73bd9fff1cfbde33a1b846c27085f711c0fe2d66fd32e139d3ebc28e5a4a6b90",
        "3757c7577170179c7868353ada796c839135b3d30554bbb74a4b1e4a5a58505c",
        "2e66aa57069c86cc18249aecf5cb5a9cebbfd6fadeab056254763874a9352b45",
    ),
    (
        SEED_2,
        "m/0'/2147483647'/1'/2147483646'",
        "0902fe8a29f9140480a00ef244bd183e8a13288e4412d8389d140aac1794825a",
        "5837736c89570de861ebc173b1086da4f505d4adb387c6a1b1342d5e4ac9ec72",
        "e33c0f7d81d843c572275f287498e8d408654fdf0d1e065b84e2e6f157aab09b",
    ),
    (
        SEED_2,
        "m/0'/2147483647'/1'/2147483646'/2'",
        "5d70af781f3a37b829f0d060924d5e960bdc02e85423494afc0b1a41bbe196d4",
        "551d333177df541ad876a60ea71f00447931c0a9da16f227c11ea080d7391b8d",
        "47150c75db263559a70d5778bf36abbab30fb061ad69f69ece61a72b0cfa4fc0",
    ),
]


@pytest.mark.parametrize(("entropy", "phrase", "seed"), BIP39, ids=[row[0][:8] for row in BIP39])
def test_bip39_vectors_hold(entropy: str, phrase: str, seed: str) -> None:
    assert mnemonic.from_entropy(bytes.fromhex(entropy)) == phrase
    assert mnemonic.to_entropy(phrase).hex() == entropy
    assert mnemonic.seed(phrase, "TREZOR").hex() == seed


@pytest.mark.parametrize(("seed", "path", "chain_code", "private", "public"), SLIP10, ids=[row[1] for row in SLIP10])
def test_slip10_vectors_hold(seed: str, path: str, chain_code: str, private: str, public: str) -> None:
    node = derivation.derive(bytes.fromhex(seed), path)
    assert (node.chain_code.hex(), node.secret.hex()) == (chain_code, private)
    assert PrivateKey.from_secret("ed25519", node.secret).public.x.hex() == public


@given(st.sampled_from([16, 20, 24, 28, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_entropy_survives_paper(entropy: bytes) -> None:
    phrase = mnemonic.from_entropy(entropy)
    assert mnemonic.to_entropy(f"  {phrase.upper()} \n") == entropy


def test_a_new_phrase_has_as_many_words_as_asked() -> None:
    assert [len(mnemonic.generate(count).split()) for count in mnemonic.WORD_COUNTS] == list(mnemonic.WORD_COUNTS)
    with pytest.raises(Malformed, match="not 13"):
        mnemonic.generate(13)


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("zoo " * 11 + "zoo", "checksum"),
        ("zoo " * 5 + "zu " + "zoo " * 5 + "wrong", "word 6 "),
        ("zoo zoo zoo", "3 words"),
        ("", "1 words"),
        ("zoo " * 1_000, "characters"),
    ],
)
def test_a_wrong_phrase_is_told_what_is_wrong_and_never_repeated(phrase: str, said: str) -> None:
    with pytest.raises(Malformed) as refused:
        mnemonic.to_entropy(phrase)
    assert refused.value.code == "words_invalid" and said in refused.value.message
    assert "zoo" not in refused.value.message and "zu" not in refused.value.message


@pytest.mark.parametrize("path", ["", "0'", "m/0", "m/-1'", "m/2147483648'", "m/1'/", "m" + "/0'" * 11, "m/٣'"])
def test_a_path_that_is_not_all_hardened_is_refused(path: str) -> None:
    with pytest.raises(Malformed) as refused:
        derivation.parse_path(path)
    assert refused.value.code == "usage"


def test_the_first_account_of_a_phrase_stays_the_same_for_ever() -> None:
    """Golden: whoever wrote down 24 words must find the money in every later release."""
    phrase = BIP39[0][1]
    assert derivation.account_path(0) == "m/44'/1095650130'/0'"
    keys = [derivation.key_of(phrase, derivation.account_path(index)).public.x.hex() for index in (0, 1)]
    assert keys == GOLDEN_KEYS
    assert derivation.key_of(phrase, derivation.account_path(0), "secret").public.x.hex() not in GOLDEN_KEYS


GOLDEN_KEYS = [
    "bcdcf2b5df6e40882bd70eb0c480014596d69e8b44f4f34509f8b25a227f8dc7",
    "1f16f1ddffac3d1c00983d84651c9ea18ec8001c9025bb0032cdac43df8a047f",
]
