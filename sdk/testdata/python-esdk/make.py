"""Writes vectors.json: small messages of the real Python AWS Encryption SDK.

    python -m venv v && v/bin/pip install aws-encryption-sdk && v/bin/python make.py > vectors.json

The wrapping keys are derived from fixed labels and protect nothing.
"""

import base64
import hashlib
import json
import sys

import aws_encryption_sdk
from aws_encryption_sdk.identifiers import (
    Algorithm,
    CommitmentPolicy,
    EncryptionKeyType,
    WrappingAlgorithm,
)
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider

NAMESPACE = "strongroom-testdata"
WRAPPING = {
    16: WrappingAlgorithm.AES_128_GCM_IV12_TAG16_NO_PADDING,
    24: WrappingAlgorithm.AES_192_GCM_IV12_TAG16_NO_PADDING,
    32: WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
}
CONTEXT = {"purpose": "testdata", "zwölf": "12", "empty": ""}


class RawAes(RawMasterKeyProvider):
    provider_id = NAMESPACE

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def _get_raw_key(self, key_id):
        key = wrapping_key(key_id)
        return WrappingKey(
            wrapping_algorithm=WRAPPING[len(key)],
            wrapping_key=key,
            wrapping_key_type=EncryptionKeyType.SYMMETRIC,
        )


def wrapping_key(key_id):
    label = key_id if isinstance(key_id, bytes) else key_id.encode()
    length = int(label.rsplit(b"-", 1)[1]) // 8
    return hashlib.sha256(b"strongroom testdata " + label).digest()[:length]


def plaintext_of(length):
    return hashlib.shake_256(b"strongroom testdata plaintext").digest(length)


def encrypt(suite, key_name, length, frame_length):
    commits = suite.name.find("COMMIT") >= 0
    policy = (
        CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        if commits
        else CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
    )
    provider = RawAes()
    provider.add_master_key(key_name)
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)
    message, _header = client.encrypt(
        source=plaintext_of(length),
        key_provider=provider,
        algorithm=suite,
        encryption_context=CONTEXT,
        frame_length=frame_length,
    )
    return message


def b64(data):
    return base64.b64encode(data).decode()


def main():
    messages = []
    for suite in Algorithm:
        shapes = [(0, 128), (129, 128)]
        if "COMMIT" in suite.name:
            shapes = [(0, 128), (256, 128), (257, 128), (300, 4096), (100, 0)]
        for index, (length, frame_length) in enumerate(shapes):
            key_name = "key-%d" % (128, 192, 256)[index % 3]
            messages.append(
                {
                    "name": "%04x, %d bytes, frames of %d, %s"
                    % (suite.algorithm_id, length, frame_length, key_name),
                    "namespace": NAMESPACE,
                    "key-name": key_name,
                    "wrapping-key": b64(wrapping_key(key_name)),
                    "encryption-context": CONTEXT,
                    "plaintext": b64(plaintext_of(length)),
                    "message": b64(encrypt(suite, key_name, length, frame_length)),
                }
            )
    writer = "aws-encryption-sdk %s" % aws_encryption_sdk.__version__
    vectors = {"writer": writer, "messages": messages}
    json.dump(vectors, sys.stdout, indent=1, ensure_ascii=False)


if __name__ == "__main__":
    main()
