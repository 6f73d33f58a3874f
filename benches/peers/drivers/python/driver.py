"""Drives the Python implementation of the AWS Encryption SDK by the protocol of benches/peers/src/driver.rs.

Keyrings are those of the material providers library. It has no caching materials manager, so that caching
goes through the master key provider of older releases, for raw AES keys.
"""

import base64
import json
import os
import sys
import time

import aws_encryption_sdk
import boto3
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl import models
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_encryption_sdk.identifiers import (
    Algorithm,
    CommitmentPolicy,
    EncryptionKeyType,
    WrappingAlgorithm,
)
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKeyProvider

PROVIDERS = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
CACHE_AGE_SECONDS = 600.0
CACHE_MESSAGES_MAX = 1000


class Unsupported(Exception):
    """This implementation has no such thing."""


def raw_aes(said):
    key = base64.b64decode(said["key"])
    return PROVIDERS.create_raw_aes_keyring(
        models.CreateRawAesKeyringInput(
            key_namespace=said["namespace"],
            key_name=said["name"],
            wrapping_key=key,
            wrapping_alg=f"ALG_AES{8 * len(key)}_GCM_IV12_TAG16",
        )
    )


def raw_rsa(said):
    padding = {"pkcs1": "PKCS1"}.get(said["padding"]) or "OAEP_%s_MGF1" % said["padding"].split("-")[1].upper()
    return PROVIDERS.create_raw_rsa_keyring(
        models.CreateRawRsaKeyringInput(
            key_namespace=said["namespace"],
            key_name=said["name"],
            padding_scheme=padding,
            public_key=pem(said, "public"),
            private_key=pem(said, "private"),
        )
    )


def raw_ecdh(said):
    if said["schema"] == "static":
        scheme = models.RawEcdhStaticConfigurationsRawPrivateKeyToStaticPublicKey(
            models.RawPrivateKeyToStaticPublicKeyInput(
                sender_static_private_key=pem(said, "private"), recipient_public_key=der(said["public"])
            )
        )
    elif said["schema"] == "ephemeral":
        scheme = models.RawEcdhStaticConfigurationsEphemeralPrivateKeyToStaticPublicKey(
            models.EphemeralPrivateKeyToStaticPublicKeyInput(recipient_public_key=der(said["public"]))
        )
    else:
        scheme = models.RawEcdhStaticConfigurationsPublicKeyDiscovery(
            models.PublicKeyDiscoveryInput(recipient_static_private_key=pem(said, "private"))
        )
    return PROVIDERS.create_raw_ecdh_keyring(
        models.CreateRawEcdhKeyringInput(key_agreement_scheme=scheme, curve_spec=curve(said))
    )


def kms(said):
    kind, create = (
        (models.CreateAwsKmsMrkKeyringInput, PROVIDERS.create_aws_kms_mrk_keyring)
        if said.get("mrk")
        else (models.CreateAwsKmsKeyringInput, PROVIDERS.create_aws_kms_keyring)
    )
    return create(kind(kms_key_id=said["key"], kms_client=client(said)))


def kms_discovery(said):
    chosen = models.DiscoveryFilter(account_ids=said["accounts"], partition=said["partition"])
    if said.get("mrk"):
        return PROVIDERS.create_aws_kms_mrk_discovery_keyring(
            models.CreateAwsKmsMrkDiscoveryKeyringInput(
                kms_client=client(said), region=said["region"], discovery_filter=chosen
            )
        )
    return PROVIDERS.create_aws_kms_discovery_keyring(
        models.CreateAwsKmsDiscoveryKeyringInput(kms_client=client(said), discovery_filter=chosen)
    )


def kms_rsa(said):
    return PROVIDERS.create_aws_kms_rsa_keyring(
        models.CreateAwsKmsRsaKeyringInput(
            kms_key_id=said["key"],
            encryption_algorithm=said["algorithm"],
            public_key=pem(said, "public"),
            kms_client=client(said),
        )
    )


def kms_ecdh(said):
    if said["schema"] == "static":
        scheme = models.KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey(
            models.KmsPrivateKeyToStaticPublicKeyInput(
                sender_kms_identifier=said["key"], recipient_public_key=der(said["public"])
            )
        )
    else:
        scheme = models.KmsEcdhStaticConfigurationsKmsPublicKeyDiscovery(
            models.KmsPublicKeyDiscoveryInput(recipient_kms_identifier=said["key"])
        )
    return PROVIDERS.create_aws_kms_ecdh_keyring(
        models.CreateAwsKmsEcdhKeyringInput(
            key_agreement_scheme=scheme, curve_spec=curve(said), kms_client=client(said)
        )
    )


def multi(said):
    return PROVIDERS.create_multi_keyring(
        models.CreateMultiKeyringInput(
            generator=keyring(said["generator"]),
            child_keyrings=[keyring(child) for child in said["children"]],
        )
    )


KINDS = {
    "raw-aes": raw_aes,
    "raw-rsa": raw_rsa,
    "raw-ecdh": raw_ecdh,
    "kms": kms,
    "kms-discovery": kms_discovery,
    "kms-rsa": kms_rsa,
    "kms-ecdh": kms_ecdh,
    "multi": multi,
}


def keyring(said):
    if said["kind"] not in KINDS:
        raise Unsupported("keyring %s" % said["kind"])
    return KINDS[said["kind"]](said)


def pem(said, field):
    return said[field].encode() if said.get(field) else None


def der(text):
    return base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-----")))


def curve(said):
    return "ECC_NIST_" + said["curve"].replace("-", "")


def client(said):
    # The endpoint comes from AWS_ENDPOINT_URL_KMS; the Region from the key, as in real life.
    region = said.get("region") or said["key"].split(":")[3]
    return boto3.client("kms", region_name=region)


def caching_manager(said):
    if said["kind"] != "raw-aes":
        raise Unsupported("caching over keyrings")
    key = base64.b64decode(said["key"])

    class RawAes(RawMasterKeyProvider):
        provider_id = said["namespace"]

        def _get_raw_key(self, key_id):
            return WrappingKey(
                wrapping_algorithm=WrappingAlgorithm[f"AES_{8 * len(key)}_GCM_IV12_TAG16_NO_PADDING"],
                wrapping_key=key,
                wrapping_key_type=EncryptionKeyType.SYMMETRIC,
            )

    provider = RawAes()
    provider.add_master_key(said["name"])
    return aws_encryption_sdk.CachingCryptoMaterialsManager(
        master_key_provider=provider,
        cache=aws_encryption_sdk.LocalCryptoMaterialsCache(capacity=10),
        max_age=CACHE_AGE_SECONDS,
        max_messages_encrypted=CACHE_MESSAGES_MAX,
    )


MANAGERS = {}


def materials_source(job):
    """The keyring of a job, or the manager over it, as the keyword that the SDK takes it by."""
    said, required = job["keyring"], job.get("required")
    if job.get("caching"):
        if required:
            raise Unsupported("caching with a required context")
        # One manager for each description, so that a second message finds what the first left.
        name = json.dumps(said)
        if name not in MANAGERS:
            MANAGERS[name] = caching_manager(said)
        return {"materials_manager": MANAGERS[name]}
    if not required:
        return {"keyring": keyring(said)}
    default = PROVIDERS.create_default_cryptographic_materials_manager(
        models.CreateDefaultCryptographicMaterialsManagerInput(keyring=keyring(said))
    )
    manager = PROVIDERS.create_required_encryption_context_cmm(
        models.CreateRequiredEncryptionContextCMMInput(
            required_encryption_context_keys=required, underlying_cmm=default
        )
    )
    return {"materials_manager": manager}


def suite(job):
    return next(algorithm for algorithm in Algorithm if algorithm.algorithm_id == job["suite"])


def sdk(committing):
    policy = (
        CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        if committing
        else CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
    )
    return aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)


def encrypt(job):
    message, _header = sdk(suite(job).is_committing()).encrypt(
        source=base64.b64decode(job["plaintext"]),
        algorithm=suite(job),
        encryption_context=job["context"],
        frame_length=job["frame_length"],
        **materials_source(job),
    )
    return {"message": base64.b64encode(message).decode()}


def decrypt(job):
    message = base64.b64decode(job["message"])
    source = materials_source(job)
    if "keyring" in source or job.get("required"):
        source["encryption_context"] = job["context"]
    plaintext, header = sdk(message[0] == 2).decrypt(source=message, **source)
    return {
        "plaintext": base64.b64encode(plaintext).decode(),
        "context": dict(header.encryption_context),
    }


def measure(job):
    plaintext, source, client_ = os.urandom(job["bytes"]), materials_source(job), sdk(suite(job).is_committing())

    def seal():
        return client_.encrypt(
            source=plaintext,
            algorithm=suite(job),
            encryption_context=job["context"],
            frame_length=job["frame_length"],
            **source,
        )[0]

    message = seal()

    def open_():
        return client_.decrypt(source=message, **source)[0]

    work = {"encrypt": seal, "decrypt": open_}[job["what"]]
    work()
    started = time.perf_counter()
    for _ in range(job["messages"]):
        work()
    return {"seconds": time.perf_counter() - started}


def answer(job):
    try:
        return {"encrypt": encrypt, "decrypt": decrypt, "measure": measure}[job["do"]](job)
    except Unsupported as what:
        return {"unsupported": str(what)}
    except Exception as error:  # whatever goes wrong is the answer
        return {"error": "%s: %s" % (type(error).__name__, error)}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
