"""Makes keys until the KMS is gone, noting each acknowledged one; or checks that each of those works.

usage: keys.py make|check ENDPOINT KEY_STORE KEY FILE

Each line of FILE is one key and a ciphertext under it, written only after the KMS acknowledged both;
KEY, of the key store, has lines too. Keys are made in the default key store and in KEY_STORE in turn.
"""

import base64
import sys

import boto3
import botocore.config
import botocore.exceptions

PLAINTEXT = b"acknowledged"
GONE = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)


def main(what, endpoint, key_store, key, path):
    config = botocore.config.Config(
        retries={"total_max_attempts": 1 if what == "make" else 5}, connect_timeout=5, read_timeout=30
    )
    kms = boto3.client("kms", endpoint_url=endpoint, config=config)
    if what == "make":
        try:
            make(kms, key_store, key, path)
        except GONE:
            return
    else:
        check(kms, path)


def make(kms, key_store, key, path):
    with open(path, "a") as file:
        for number in range(1_000_000):
            made = make_key(kms, key_store, number)
            for name in {made, key}:
                blob = kms.encrypt(KeyId=name, Plaintext=PLAINTEXT)["CiphertextBlob"]
                print(name, base64.b64encode(blob).decode(), file=file, flush=True)


def make_key(kms, key_store, number):
    if number % 4 == 3:
        made = kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=key_store)
    else:
        made = kms.create_key()
    return made["KeyMetadata"]["Arn"]


def check(kms, path):
    with open(path) as file:
        for line in file:
            name, blob = line.split()
            plaintext = kms.decrypt(KeyId=name, CiphertextBlob=base64.b64decode(blob))["Plaintext"]
            if plaintext != PLAINTEXT:
                raise SystemExit(f"{name} decrypts to something else")


main(*sys.argv[1:])
