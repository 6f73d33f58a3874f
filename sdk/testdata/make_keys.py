"""Writes keys.json: the wrapping keys of all test vectors in this folder.

    $PEERS/venv-esdk/bin/python make_keys.py > keys.json

The keys are public and protect nothing. Made once: new keys would make every message unreadable.
"""

import base64
import json
import os
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CURVES = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}


def private_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def public(key, encoding):
    return key.public_key().public_bytes(
        encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def public_der(key):
    return base64.b64encode(public(key, serialization.Encoding.DER)).decode()


def symmetric(bits):
    return {
        "encrypt": True,
        "decrypt": True,
        "algorithm": "aes",
        "type": "symmetric",
        "bits": bits,
        "encoding": "base64",
        "material": base64.b64encode(os.urandom(bits // 8)).decode(),
        "key-id": "aes-%d" % bits,
    }


def asymmetric(kind, material):
    return {
        "encrypt": True,
        "decrypt": kind == "private",
        "algorithm": "rsa",
        "type": kind,
        "bits": 2048,
        "encoding": "pem",
        "material": material,
        "key-id": "rsa-2048",
    }


def elliptic(bits):
    sender = ec.generate_private_key(CURVES[bits])
    recipient = ec.generate_private_key(CURVES[bits])
    return {
        "encrypt": True,
        "decrypt": True,
        "algorithm": "ecdh",
        "type": "ecc-private",
        "bits": bits,
        "encoding": "pem",
        "sender-material": private_pem(sender),
        "recipient-material": private_pem(recipient),
        "public-key-encoding": "base64-der",
        "sender-material-public-key": public_der(sender),
        "recipient-material-public-key": public_der(recipient),
        "key-id": "ecc-%d" % bits,
    }


def main():
    keys = {"aes-%d" % bits: symmetric(bits) for bits in (128, 192, 256)}
    pair = rsa.generate_private_key(65537, 2048)
    keys["rsa-2048-private"] = asymmetric("private", private_pem(pair))
    pem = public(pair, serialization.Encoding.PEM).decode()
    keys["rsa-2048-public"] = asymmetric("public", pem)
    for bits in CURVES:
        keys["ecc-%d-private" % bits] = elliptic(bits)
    json.dump({"manifest": {"type": "keys", "version": 3}, "keys": keys}, sys.stdout, indent=1)
    sys.stdout.write("\n")


main()
