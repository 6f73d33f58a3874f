"""Decrypts every message of a folder that `esdk-vectors encrypt` wrote, with the real Python SDK.

    python python_esdk.py FOLDER

Prints one line for each message that does not open to its plaintext, and the counts last.
"""

import base64
import json
import pathlib
import sys

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders, models
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig

PROVIDERS = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
CLIENT = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=aws_encryption_sdk.CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT
)
AES = {
    16: models.AesWrappingAlg.ALG_AES128_GCM_IV12_TAG16,
    24: models.AesWrappingAlg.ALG_AES192_GCM_IV12_TAG16,
    32: models.AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
}
RSA = {
    ("pkcs1", None): models.PaddingScheme.PKCS1,
    ("oaep-mgf1", "sha1"): models.PaddingScheme.OAEP_SHA1_MGF1,
    ("oaep-mgf1", "sha256"): models.PaddingScheme.OAEP_SHA256_MGF1,
    ("oaep-mgf1", "sha384"): models.PaddingScheme.OAEP_SHA384_MGF1,
    ("oaep-mgf1", "sha512"): models.PaddingScheme.OAEP_SHA512_MGF1,
}


def keyring(description, keys):
    key = keys[description["key"]]
    if description["encryption-algorithm"] == "aes":
        material = base64.b64decode(key["material"])
        return PROVIDERS.create_raw_aes_keyring(
            models.CreateRawAesKeyringInput(
                key_namespace=description["provider-id"],
                key_name=key["key-id"],
                wrapping_key=material,
                wrapping_alg=AES[len(material)],
            )
        )
    padding = description["padding-algorithm"], description.get("padding-hash")
    return PROVIDERS.create_raw_rsa_keyring(
        models.CreateRawRsaKeyringInput(
            key_namespace=description["provider-id"],
            key_name=key["key-id"],
            padding_scheme=RSA[padding],
            private_key=key["material"].encode(),
        )
    )


def read(folder, reference):
    return (folder / reference[len("file://") :]).read_bytes()


def main():
    folder = pathlib.Path(sys.argv[1])
    keys = json.loads((folder / "keys.json").read_text())["keys"]
    tests = json.loads((folder / "manifest.json").read_text())["tests"]
    passed = failed = 0
    for name, test in tests.items():
        try:
            plaintext, _header = CLIENT.decrypt(
                source=read(folder, test["ciphertext"]),
                keyring=keyring(test["master-keys"][0], keys),
            )
            assert plaintext == read(folder, test["result"]["output"]["plaintext"])
            passed += 1
        except Exception as error:  # whatever goes wrong is the answer
            print("%s: %s: %s" % (name, type(error).__name__, error))
            failed += 1
    print("%d passed, %d failed" % (passed, failed))


main()
