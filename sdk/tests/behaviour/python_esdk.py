"""Encrypts and decrypts with the real Python AWS Encryption SDK, for the tests.

Reads one JSON list of jobs from standard input and writes one JSON list of answers:
    {"do": "encrypt", "suite": 1144, "frame": 128, "plaintext": B64}  -> {"message": B64}
    {"do": "decrypt", "message": B64}                                -> {"plaintext": B64, "context": {...}}
    each with "namespace", "name", "key": B64, and "context" for encrypt; a failure -> {"error": text}
"""

import base64
import io
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

WRAPPING = {
    16: WrappingAlgorithm.AES_128_GCM_IV12_TAG16_NO_PADDING,
    24: WrappingAlgorithm.AES_192_GCM_IV12_TAG16_NO_PADDING,
    32: WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
}


def provider_for(job):
    key = base64.b64decode(job["key"])

    class RawAes(RawMasterKeyProvider):
        provider_id = job["namespace"]

        def _get_raw_key(self, key_id):
            return WrappingKey(
                wrapping_algorithm=WRAPPING[len(key)],
                wrapping_key=key,
                wrapping_key_type=EncryptionKeyType.SYMMETRIC,
            )

    provider = RawAes()
    provider.add_master_key(job["name"])
    return provider


def encrypt(job):
    suite = next(a for a in Algorithm if a.algorithm_id == job["suite"])
    policy = (
        CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        if suite.is_committing()
        else CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
    )
    client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)
    message, _header = client.encrypt(
        source=base64.b64decode(job["plaintext"]),
        key_provider=provider_for(job),
        algorithm=suite,
        encryption_context=job["context"],
        frame_length=job["frame"],
    )
    return {"message": base64.b64encode(message).decode()}


def decrypt(job):
    client = aws_encryption_sdk.EncryptionSDKClient(
        commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT
    )
    source = io.BytesIO(base64.b64decode(job["message"]))
    with client.stream(mode="d", source=source, key_provider=provider_for(job)) as stream:
        plaintext = stream.read()
        context = stream.header.encryption_context
    return {"plaintext": base64.b64encode(plaintext).decode(), "context": context}


def answer(job):
    try:
        return {"encrypt": encrypt, "decrypt": decrypt}[job["do"]](job)
    except Exception as error:  # whatever goes wrong is the answer
        return {"error": "%s: %s" % (type(error).__name__, error)}


json.dump([answer(job) for job in json.load(sys.stdin)], sys.stdout)
