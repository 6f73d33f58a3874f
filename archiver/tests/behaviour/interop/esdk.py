"""Encrypts or decrypts files with the Python implementation of the AWS Encryption SDK.

usage: esdk.py encrypt|decrypt KMS_ENDPOINT KEY_ARN    with lines INPUT<tab>OUTPUT on standard input

Uses the AWS KMS keyring with a boto3 client at KMS_ENDPOINT, and nothing else. Prints one JSON object
per line read: context (the encryption context of the header) and suite (its name).
Encrypting alternates the two committing suites and three frame lengths.
"""

import json
import pathlib
import sys

import aws_encryption_sdk
import boto3
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import CreateAwsKmsKeyringInput
from aws_encryption_sdk.identifiers import AlgorithmSuite, CommitmentPolicy

SUITES = [
    AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
]
# Multiples of 128, which this implementation asks for.
FRAME_LENGTHS = [4096, 65536, 1024]


def main(direction, endpoint, key):
    client = aws_encryption_sdk.EncryptionSDKClient(
        commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    )
    kms = boto3.client("kms", endpoint_url=endpoint)
    providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
    keyring = providers.create_aws_kms_keyring(CreateAwsKmsKeyringInput(kms_key_id=key, kms_client=kms))
    for number, line in enumerate(sys.stdin.read().splitlines()):
        source, target = map(pathlib.Path, line.split("\t"))
        if direction == "encrypt":
            result, header = client.encrypt(
                source=source.read_bytes(),
                keyring=keyring,
                encryption_context={"purpose": "interop", "number": str(number)},
                algorithm=SUITES[number % len(SUITES)],
                frame_length=FRAME_LENGTHS[number % len(FRAME_LENGTHS)],
            )
        else:
            result, header = client.decrypt(source=source.read_bytes(), keyring=keyring)
        target.write_bytes(result)
        print(json.dumps({"context": header.encryption_context, "suite": header.algorithm.name}))


main(*sys.argv[1:])
