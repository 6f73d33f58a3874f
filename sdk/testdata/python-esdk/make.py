"""Writes manifest.json and ciphertexts/: messages of the real Python AWS Encryption SDK.

    $PEERS/venv-esdk/bin/python make.py

All suites, framed and as a single block; raw AES, RSA and ECDH keyrings, several keys for one message,
required encryption context; and messages that must not open, each made of a good one. The wrapping keys
are those of ../keys.json. The folder ciphertexts is written anew.
"""

import base64
import hashlib
import json
import pathlib
import shutil

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl import models
from aws_encryption_sdk import Algorithm, CommitmentPolicy

HERE = pathlib.Path(__file__).resolve().parent
KEYS = json.loads((HERE.parent / "keys.json").read_text())["keys"]
PROVIDERS = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())

NAMESPACE = "strongroom-testdata"
CONTEXT = {"purpose": "testdata", "zwölf": "12", "empty": ""}
PLAINTEXTS = {"empty": 0, "short": 100, "frames": 256, "frames-and-more": 300}
AES = {
    128: models.AesWrappingAlg.ALG_AES128_GCM_IV12_TAG16,
    192: models.AesWrappingAlg.ALG_AES192_GCM_IV12_TAG16,
    256: models.AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
}
RSA = {
    ("pkcs1", "sha1"): models.PaddingScheme.PKCS1,
    ("oaep-mgf1", "sha1"): models.PaddingScheme.OAEP_SHA1_MGF1,
    ("oaep-mgf1", "sha256"): models.PaddingScheme.OAEP_SHA256_MGF1,
    ("oaep-mgf1", "sha384"): models.PaddingScheme.OAEP_SHA384_MGF1,
    ("oaep-mgf1", "sha512"): models.PaddingScheme.OAEP_SHA512_MGF1,
}
CURVES = {256: "ECC_NIST_P256", 384: "ECC_NIST_P384", 521: "ECC_NIST_P521"}
COMMITTING = [
    Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
]


def plaintext(name):
    return hashlib.shake_256(b"strongroom testdata plaintext").digest(PLAINTEXTS[name])


def aes(bits):
    """The keyring, and the description of it."""
    keyring = PROVIDERS.create_raw_aes_keyring(
        models.CreateRawAesKeyringInput(
            key_namespace=NAMESPACE,
            key_name="aes-%d" % bits,
            wrapping_key=base64.b64decode(KEYS["aes-%d" % bits]["material"]),
            wrapping_alg=AES[bits],
        )
    )
    return keyring, {
        "type": "raw",
        "encryption-algorithm": "aes",
        "provider-id": NAMESPACE,
        "key": "aes-%d" % bits,
    }


def rsa(padding):
    keyring = PROVIDERS.create_raw_rsa_keyring(
        models.CreateRawRsaKeyringInput(
            key_namespace=NAMESPACE,
            key_name="rsa-2048",
            padding_scheme=RSA[padding],
            public_key=KEYS["rsa-2048-public"]["material"].encode(),
        )
    )
    return keyring, {
        "type": "raw",
        "encryption-algorithm": "rsa",
        "provider-id": NAMESPACE,
        "key": "rsa-2048-private",
        "padding-algorithm": padding[0],
        "padding-hash": padding[1],
    }


def ecdh(bits, schema):
    key = KEYS["ecc-%d-private" % bits]
    recipient = base64.b64decode(key["recipient-material-public-key"])
    if schema == "static":
        scheme = models.RawEcdhStaticConfigurationsRawPrivateKeyToStaticPublicKey(
            models.RawPrivateKeyToStaticPublicKeyInput(
                sender_static_private_key=key["sender-material"].encode(),
                recipient_public_key=recipient,
            )
        )
    else:
        scheme = models.RawEcdhStaticConfigurationsEphemeralPrivateKeyToStaticPublicKey(
            models.EphemeralPrivateKeyToStaticPublicKeyInput(recipient_public_key=recipient)
        )
    keyring = PROVIDERS.create_raw_ecdh_keyring(
        models.CreateRawEcdhKeyringInput(key_agreement_scheme=scheme, curve_spec=CURVES[bits])
    )
    return keyring, ecdh_description(bits, "static" if schema == "static" else "discovery")


def ecdh_description(bits, schema):
    name = "ecc-%d-private" % bits
    return {
        "type": "raw-ecdh",
        "schema": schema,
        "ecc-curve": "ecc-%d" % bits,
        "provider-id": NAMESPACE,
        "sender": name if schema == "static" else "discovery",
        "recipient": name,
        "sender-public-key": "sender-material-public-key" if schema == "static" else "discovery",
        "recipient-public-key": "recipient-material-public-key",
    }


def multi(keyrings):
    return PROVIDERS.create_multi_keyring(
        models.CreateMultiKeyringInput(generator=keyrings[0], child_keyrings=keyrings[1:])
    )


def client(suite):
    policy = (
        CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        if suite.is_committing()
        else CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
    )
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)


def encrypt(suite, name, frame, context=None, **keys):
    message, _header = client(suite).encrypt(
        source=plaintext(name),
        algorithm=suite,
        encryption_context=CONTEXT if context is None else context,
        frame_length=frame,
        **keys,
    )
    return message


class Vectors:
    """The tests of the manifest, and the files that they need."""

    def __init__(self):
        self.tests = {}
        shutil.rmtree(HERE / "ciphertexts", ignore_errors=True)
        (HERE / "ciphertexts").mkdir()

    def add(self, test, suite, message, description, **more):
        (HERE / "ciphertexts" / test).write_bytes(message)
        self.tests[test] = {
            "decryption-scenario": {
                "ciphertext": "file://ciphertexts/" + test,
                "algorithmSuiteId": "%04x" % suite.algorithm_id,
                "decryptKeyDescription": description,
                **more,
            }
        }

    def good(self, test, suite, message, name, description, reproduced=None):
        self.add(
            test,
            suite,
            message,
            description,
            type="positive-esdk",
            result="file://../plaintexts/" + name,
            **{"reproduced-encryption-context": reproduced or {}},
        )

    def bad(self, test, suite, message, description, why, reproduced=None):
        self.add(
            test,
            suite,
            message,
            description,
            type="negative-decrypt-esdk",
            result={"error": {"error-description": why}},
            **{"reproduced-encryption-context": reproduced or {}},
        )


def suites(vectors):
    shapes = [("empty", 128), ("frames", 128), ("frames-and-more", 128), ("short", 0)]
    for at, suite in enumerate(Algorithm):
        for offset, (name, frame) in enumerate(shapes):
            keyring, description = aes((128, 192, 256)[(at + offset) % 3])
            message = encrypt(suite, name, frame, keyring=keyring)
            test = "%04x-%s-%s" % (suite.algorithm_id, name, "frames" if frame else "block")
            vectors.good(test, suite, message, name, description)


def wrapping(vectors):
    for suite in [Algorithm.AES_128_GCM_IV12_TAG16] + COMMITTING:
        for padding in RSA:
            keyring, description = rsa(padding)
            message = encrypt(suite, "short", 4096, keyring=keyring)
            test = "%04x-rsa-%s-%s" % ((suite.algorithm_id,) + padding)
            vectors.good(test, suite, message, "short", description)
    for suite in COMMITTING:
        for bits in CURVES:
            for schema in ("static", "ephemeral"):
                keyring, description = ecdh(bits, schema)
                message = encrypt(suite, "short", 4096, keyring=keyring)
                test = "%04x-ecdh-%d-%s" % (suite.algorithm_id, bits, schema)
                vectors.good(test, suite, message, "short", description)


def several_keys(vectors):
    suite = COMMITTING[1]
    made = [aes(256), rsa(("oaep-mgf1", "sha256")), ecdh(384, "ephemeral")]
    message = encrypt(suite, "short", 4096, keyring=multi([keyring for keyring, _ in made]))
    descriptions = [description for _, description in made]
    for name, description in zip(("aes", "rsa", "ecdh"), descriptions):
        vectors.good("several-keys-" + name, suite, message, "short", description)
    all_of_them = {
        "type": "multi-keyring",
        "generator": descriptions[0],
        "childKeyrings": descriptions[1:],
    }
    vectors.good("several-keys-all", suite, message, "short", all_of_them)
    vectors.bad("several-keys-none", suite, message, aes(192)[1], "no key of the message")


def required_context(vectors):
    context = {"a": "a", "b": "b"}
    for suite in COMMITTING:
        keyring, description = aes(256)
        manager = PROVIDERS.create_required_encryption_context_cmm(
            models.CreateRequiredEncryptionContextCMMInput(
                underlying_cmm=PROVIDERS.create_default_cryptographic_materials_manager(
                    models.CreateDefaultCryptographicMaterialsManagerInput(keyring=keyring)
                ),
                required_encryption_context_keys=["a"],
            )
        )
        message = encrypt(suite, "short", 128, context, materials_manager=manager)
        cmm = {
            "type": "required-encryption-context-cmm",
            "requiredEncryptionContextKeys": ["a"],
            "underlying": description,
        }
        test = "%04x-required-context" % suite.algorithm_id
        vectors.good(test, suite, message, "short", cmm, reproduced={"a": "a"})
        vectors.good(test + "-all", suite, message, "short", cmm, reproduced=context)
        wrong = {"-missing": {}, "-other-value": {"a": "b"}, "-other-pair": {"a": "a", "c": "c"}}
        for name, reproduced in wrong.items():
            why = "not the encryption context of the message"
            vectors.bad(test + name, suite, message, cmm, why, reproduced)


def flipped(message, at):
    """The message with one bit of the byte at `at` changed."""
    changed = bytearray(message)
    changed[at] ^= 1
    return bytes(changed)


def damaged(vectors):
    keyring, description = aes(256)
    for suite in COMMITTING:
        message = encrypt(suite, "frames-and-more", 128, keyring=keyring)
        header = message.index(b"\xff\xff\xff\xff") - 2 * (128 + 32)
        cases = {
            "message-id": (flipped(message, 3), "a bit of the message id"),
            "commitment": (flipped(message, header - 17), "a bit of the key commitment"),
            "header-tag": (flipped(message, header - 1), "a bit of the header's tag"),
            "frame": (flipped(message, header + 20), "a bit of the first frame"),
            "end": (flipped(message, len(message) - 1), "a bit of the last byte"),
            "truncated": (message[:-1], "the last byte is missing"),
            "extended": (message + b"\0", "a byte follows the end"),
        }
        for name, (bytes_, why) in cases.items():
            test = "%04x-damaged-%s" % (suite.algorithm_id, name)
            vectors.bad(test, suite, bytes_, description, why)


def main():
    folder = HERE.parent / "plaintexts"
    folder.mkdir(exist_ok=True)
    for name in PLAINTEXTS:
        (folder / name).write_bytes(plaintext(name))
    vectors = Vectors()
    for part in (suites, wrapping, several_keys, required_context, damaged):
        part(vectors)
    manifest = {
        "manifest": {"type": "awses-decrypt", "version": 5},
        "client": {
            "name": "aws/aws-encryption-sdk-python",
            "version": aws_encryption_sdk.__version__,
        },
        "keys": "file://../keys.json",
        "tests": vectors.tests,
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (HERE / "manifest.json").write_text(text + "\n")


main()
