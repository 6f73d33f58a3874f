"""Imported key material of every kind, wrapped by the `cryptography` package. Prints `done` at the end."""

import datetime
import hmac
import os

import boto3
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, padding, rsa

kms = boto3.client("kms")
MESSAGE = b"a message"
NEVER = "KEY_MATERIAL_DOES_NOT_EXPIRE"


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} expected")


def create(spec="SYMMETRIC_DEFAULT", usage="ENCRYPT_DECRYPT"):
    metadata = kms.create_key(KeySpec=spec, KeyUsage=usage, Origin="EXTERNAL")["KeyMetadata"]
    assert metadata["KeyState"] == "PendingImport" and metadata["Enabled"] is False, metadata
    assert metadata["Origin"] == "EXTERNAL" and "ExpirationModel" not in metadata, metadata
    assert "CurrentKeyMaterialId" not in metadata, metadata
    return metadata["KeyId"]


def parameters(key, algorithm="RSAES_OAEP_SHA_256", spec="RSA_2048"):
    reply = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)
    left = reply["ParametersValidTo"] - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(hours=23) < left <= datetime.timedelta(hours=24), left
    public = serialization.load_der_public_key(reply["PublicKey"])
    assert public.key_size == int(spec[-4:]), public.key_size
    assert len(reply["ImportToken"]) <= 6144
    return reply["ImportToken"], public


def wrap(public, algorithm, material):
    scheme = hashes.SHA1() if algorithm.endswith("SHA_1") else hashes.SHA256()
    oaep = padding.OAEP(mgf=padding.MGF1(scheme), algorithm=scheme, label=None)
    if algorithm.startswith("RSAES"):
        return public.encrypt(material, oaep)
    transport = os.urandom(32)
    return public.encrypt(transport, oaep) + keywrap.aes_key_wrap_with_padding(transport, material)


def bring(key, material, algorithm="RSAES_OAEP_SHA_256", spec="RSA_2048", **more):
    token, public = parameters(key, algorithm, spec)
    more = more or dict(ExpirationModel=NEVER)
    return kms.import_key_material(
        KeyId=key, ImportToken=token, EncryptedKeyMaterial=wrap(public, algorithm, material), **more
    )


def pkcs8(private):
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def state(key):
    return kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]


def symmetric():
    key, material = create(), os.urandom(32)
    refused("KMSInvalidStateException", kms.encrypt, KeyId=key, Plaintext=MESSAGE)
    refused("KMSInvalidStateException", kms.disable_key, KeyId=key)
    assert "KeyMaterialId" not in kms.delete_imported_key_material(KeyId=key)
    reply = bring(key, material)
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["KeyState"] == "Enabled" and metadata["ExpirationModel"] == NEVER, metadata
    assert metadata["CurrentKeyMaterialId"] == reply["KeyMaterialId"] and "ValidTo" not in metadata
    blob = kms.encrypt(KeyId=key, Plaintext=MESSAGE)["CiphertextBlob"]
    for call in (kms.enable_key_rotation, kms.disable_key_rotation, kms.get_key_rotation_status):
        told = refused("UnsupportedOperationException", call, KeyId=key)
        assert told.endswith("origin is EXTERNAL which is not valid for this operation."), told

    # The same again, in every other way that is for it; then none other, and nothing that is no key.
    for algorithm, spec in (("RSAES_OAEP_SHA_1", "RSA_3072"), ("RSAES_OAEP_SHA_256", "RSA_4096")):
        assert bring(key, material, algorithm, spec)["KeyMaterialId"] == reply["KeyMaterialId"]
    for other in (os.urandom(32), material[:31], material + b"x", b"x"):
        refused("IncorrectKeyMaterialException", bring, key=key, material=other)
    assert kms.decrypt(CiphertextBlob=blob)["KeyMaterialId"] == reply["KeyMaterialId"]

    kms.disable_key(KeyId=key)
    bring(key, material)
    assert state(key) == "Disabled"
    deleted = kms.delete_imported_key_material(KeyId=key)
    assert deleted["KeyMaterialId"] == reply["KeyMaterialId"], deleted
    assert state(key) == "PendingImport"
    refused("KMSInvalidStateException", kms.decrypt, CiphertextBlob=blob)
    refused("IncorrectKeyMaterialException", bring, key=key, material=os.urandom(32))
    bring(key, material, ExpirationModel=NEVER, KeyMaterialId=reply["KeyMaterialId"])
    assert state(key) == "Enabled"
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == MESSAGE

    refused("NotFoundException", kms.delete_imported_key_material, KeyId=key, KeyMaterialId="0" * 64)
    kms.schedule_key_deletion(KeyId=key)
    kms.delete_imported_key_material(KeyId=key)
    assert state(key) == "PendingDeletion"
    refused("KMSInvalidStateException", bring, key=key, material=material)
    kms.cancel_key_deletion(KeyId=key)
    assert state(key) == "PendingImport"
    bring(key, material)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == MESSAGE


def tokens_and_wrappings():
    one, other, material = create(), create(), os.urandom(32)
    token, public = parameters(one)
    wrapped = wrap(public, "RSAES_OAEP_SHA_256", material)
    same = dict(KeyId=one, ExpirationModel=NEVER)
    refused(
        "InvalidImportTokenException",
        kms.import_key_material,
        **{**same, "KeyId": other},
        ImportToken=token,
        EncryptedKeyMaterial=wrapped,
    )
    for position in (0, 1, 2, 3, 10, 11, len(token) // 2, len(token) - 1):
        altered = token[:position] + bytes([token[position] ^ 1]) + token[position + 1 :]
        refused(
            "InvalidImportTokenException", kms.import_key_material, ImportToken=altered, EncryptedKeyMaterial=wrapped, **same
        )
    second, _ = parameters(one)
    sha_1 = wrap(public, "RSAES_OAEP_SHA_1", material)
    for token_of, bad in ((second, wrapped), (token, sha_1), (token, wrapped[:-1]), (token, b"x")):
        refused(
            "InvalidCiphertextException", kms.import_key_material, ImportToken=token_of, EncryptedKeyMaterial=bad, **same
        )
    assert state(one) == "PendingImport"
    now = datetime.datetime.now(datetime.timezone.utc)
    for valid in (
        dict(ExpirationModel="KEY_MATERIAL_EXPIRES"),
        dict(ExpirationModel=NEVER, ValidTo=now + datetime.timedelta(days=1)),
        dict(ValidTo=now - datetime.timedelta(seconds=1)),
        dict(ValidTo=now + datetime.timedelta(days=366)),
        dict(),
    ):
        refused(
            "ValidationException",
            kms.import_key_material,
            KeyId=one,
            ImportToken=token,
            EncryptedKeyMaterial=wrapped,
            **valid,
        )
    valid_to = (now + datetime.timedelta(days=364)).replace(microsecond=0)
    bring(one, material, ValidTo=valid_to)
    metadata = kms.describe_key(KeyId=one)["KeyMetadata"]
    assert metadata["ValidTo"] == valid_to and metadata["ExpirationModel"] == "KEY_MATERIAL_EXPIRES", metadata

    made_here = kms.create_key()["KeyMetadata"]["KeyId"]
    told = refused("UnsupportedOperationException", parameters, key=made_here)
    assert told.endswith("origin is AWS_KMS which is not valid for this operation."), told
    refused("UnsupportedOperationException", kms.delete_imported_key_material, KeyId=made_here)
    refused("UnsupportedOperationException", parameters, key=one, algorithm="RSAES_PKCS1_V1_5")
    refused("UnsupportedOperationException", parameters, key=one, algorithm="RSA_AES_KEY_WRAP_SHA_256")
    refused("ValidationException", parameters, key=one, spec="RSA_1024")


def rotations(key, client=kms):
    """Each material of a key by its id, as ListKeyRotations shows it; the completed rotations in order."""
    everything = client.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    completed = client.list_key_rotations(KeyId=key)["Rotations"]
    assert [entry for entry in everything if "RotationDate" in entry] == completed, everything
    return {entry["KeyMaterialId"]: entry for entry in everything}, completed


def several_materials():
    key, first, second = create(), os.urandom(32), os.urandom(32)
    refused("KMSInvalidStateException", kms.rotate_key_on_demand, KeyId=key)
    assert rotations(key) == ({}, [])
    refused("IncorrectKeyMaterialException", bring, key=key, material=first, ImportType="EXISTING_KEY_MATERIAL", ExpirationModel=NEVER)
    one = bring(key, first, ExpirationModel=NEVER, KeyMaterialDescription="the first")["KeyMaterialId"]
    refused("KMSInvalidStateException", kms.rotate_key_on_demand, KeyId=key)
    old = kms.encrypt(KeyId=key, Plaintext=MESSAGE)["CiphertextBlob"]

    # Material that awaits its rotation does nothing yet, and can be replaced.
    new = dict(ImportType="NEW_KEY_MATERIAL", ExpirationModel=NEVER)
    refused("IncorrectKeyMaterialException", bring, key=key, material=first, **new)
    refused("ValidationException", bring, key=key, material=second, KeyMaterialId=one, **new)
    dropped = bring(key, os.urandom(32), **new)["KeyMaterialId"]
    two = bring(key, second, KeyMaterialDescription="the second", **new)["KeyMaterialId"]
    shown, completed = rotations(key)
    assert set(shown) == {one, two} and dropped not in shown and completed == [], shown
    assert shown[one]["KeyMaterialState"] == "CURRENT" and shown[two]["KeyMaterialState"] == "PENDING_ROTATION"
    assert shown[two]["KeyMaterialDescription"] == "the second", shown
    assert shown[two]["ImportState"] == "IMPORTED" and shown[two]["ExpirationModel"] == NEVER, shown
    assert kms.encrypt(KeyId=key, Plaintext=MESSAGE).keys() and state(key) == "Enabled"
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] == one

    kms.rotate_key_on_demand(KeyId=key)
    shown, completed = rotations(key)
    assert [entry["KeyMaterialId"] for entry in completed] == [two], completed
    assert completed[0]["RotationType"] == "ON_DEMAND" and shown[one]["KeyMaterialState"] == "NON_CURRENT"
    assert shown[two]["KeyMaterialState"] == "CURRENT"
    blob = kms.encrypt(KeyId=key, Plaintext=MESSAGE)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["KeyMaterialId"] == two
    assert kms.decrypt(CiphertextBlob=old)["KeyMaterialId"] == one
    refused("KMSInvalidStateException", kms.rotate_key_on_demand, KeyId=key)

    # A key needs all of its materials; each comes back as what it was, and nothing else does.
    assert kms.delete_imported_key_material(KeyId=key, KeyMaterialId=one)["KeyMaterialId"] == one
    shown, _ = rotations(key)
    assert state(key) == "PendingImport" and shown[one]["ImportState"] == "PENDING_IMPORT", shown
    assert "ExpirationModel" not in shown[one] and shown[one]["KeyMaterialDescription"] == "the first"
    for call, arguments in (
        (kms.decrypt, dict(CiphertextBlob=blob)),
        (kms.encrypt, dict(KeyId=key, Plaintext=MESSAGE)),
        (kms.rotate_key_on_demand, dict(KeyId=key)),
    ):
        refused("KMSInvalidStateException", call, **arguments)
    refused("IncorrectKeyMaterialException", bring, key=key, material=second, KeyMaterialId=one, ExpirationModel=NEVER)
    refused("IncorrectKeyMaterialException", bring, key=key, material=os.urandom(32))
    until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=9)).replace(microsecond=0)
    bring(key, first, ValidTo=until)
    shown, completed = rotations(key)
    assert state(key) == "Enabled" and shown[one]["ValidTo"] == until, shown
    assert shown[one]["KeyMaterialDescription"] == "the first" and len(completed) == 1, shown
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["ExpirationModel"] == "KEY_MATERIAL_EXPIRES" and metadata["ValidTo"] == until, metadata
    assert kms.decrypt(CiphertextBlob=old)["Plaintext"] == MESSAGE

    # What awaits its rotation leaves without a trace.
    three = bring(key, os.urandom(32), **new)["KeyMaterialId"]
    assert kms.delete_imported_key_material(KeyId=key, KeyMaterialId=three)["KeyMaterialId"] == three
    assert three not in rotations(key)[0] and state(key) == "Enabled"


def macs():
    for bits in (224, 256, 384, 512):
        key, material = create(f"HMAC_{bits}", "GENERATE_VERIFY_MAC"), os.urandom(bits // 8)
        refused("IncorrectKeyMaterialException", bring, key=key, material=material[1:])
        assert "KeyMaterialId" not in bring(key, material)
        mac = kms.generate_mac(KeyId=key, Message=MESSAGE, MacAlgorithm=f"HMAC_SHA_{bits}")["Mac"]
        assert mac == hmac.digest(material, MESSAGE, f"sha{bits}"), bits


def pairs():
    curve = ec.ECDSA(hashes.SHA256())
    key, private = create("ECC_NIST_P256", "SIGN_VERIFY"), ec.generate_private_key(ec.SECP256R1())
    refused("KMSInvalidStateException", kms.get_public_key, KeyId=key)
    refused("IncorrectKeyMaterialException", bring, key=key, material=pkcs8(ec.generate_private_key(ec.SECP384R1())), algorithm="RSA_AES_KEY_WRAP_SHA_256")
    bring(key, pkcs8(private))
    bring(key, pkcs8(private), "RSA_AES_KEY_WRAP_SHA_1", "RSA_3072")
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert public == private.public_key()
    signature = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    private.public_key().verify(signature, MESSAGE, curve)

    key, private = create("ECC_NIST_P521", "KEY_AGREEMENT"), ec.generate_private_key(ec.SECP521R1())
    refused("UnsupportedOperationException", parameters, key=key)
    bring(key, pkcs8(private), spec="RSA_4096")
    peer = ec.generate_private_key(ec.SECP521R1())
    der = peer.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    agreed = kms.derive_shared_secret(KeyId=key, PublicKey=der, KeyAgreementAlgorithm="ECDH")
    assert agreed["SharedSecret"] == peer.exchange(ec.ECDH(), private.public_key())
    assert agreed["KeyOrigin"] == "EXTERNAL", agreed

    key, private = create("ECC_SECG_P256K1", "SIGN_VERIFY"), ec.generate_private_key(ec.SECP256K1())
    bring(key, pkcs8(private))
    signature = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")["Signature"]
    private.public_key().verify(signature, MESSAGE, curve)

    key, private = create("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"), ed25519.Ed25519PrivateKey.generate()
    bring(key, pkcs8(private), "RSA_AES_KEY_WRAP_SHA_256")
    signature = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ED25519_SHA_512")["Signature"]
    assert signature == private.sign(MESSAGE)

    for bits, usage in ((2048, "SIGN_VERIFY"), (3072, "ENCRYPT_DECRYPT"), (4096, "SIGN_VERIFY")):
        key = create(f"RSA_{bits}", usage)
        private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        refused("UnsupportedOperationException", parameters, key=key)
        bring(key, pkcs8(private), "RSA_AES_KEY_WRAP_SHA_256", "RSA_4096")
        if usage == "SIGN_VERIFY":
            told = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256")
            assert told["Signature"] == private.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
        else:
            oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
            blob = private.public_key().encrypt(MESSAGE, oaep)
            opened = kms.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm="RSAES_OAEP_SHA_256")
            assert opened["Plaintext"] == MESSAGE
    refused("UnsupportedOperationException", bring, key=key, material=b"x", algorithm="RSA_AES_KEY_WRAP_SHA_256", ImportType="NEW_KEY_MATERIAL", ExpirationModel=NEVER)


def lattices():
    for level in ("44", "65", "87"):
        private = getattr(mldsa, f"MLDSA{level}PrivateKey").generate()
        for algorithm in ("RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_256"):
            key = create(f"ML_DSA_{level}", "SIGN_VERIFY")
            bring(key, pkcs8(private), algorithm)
            signature = kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ML_DSA_SHAKE_256")["Signature"]
            private.public_key().verify(signature, MESSAGE)
        other = getattr(mldsa, f"MLDSA{'65' if level != '65' else '44'}PrivateKey").generate()
        refused("IncorrectKeyMaterialException", bring, key=key, material=pkcs8(other))
    for level in ("768", "1024"):
        private = getattr(mlkem, f"MLKEM{level}PrivateKey").generate()
        key = create(f"ML_KEM_{level}", "ENCAPSULATE_DECAPSULATE")
        bring(key, pkcs8(private))
        same = dict(KeyId=key, EncapsulationAlgorithm="ML_KEM")
        made = kms.encapsulate(**same)
        assert private.decapsulate(made["SharedSecretCiphertextBlob"]) == made["SharedSecret"]
        secret, ciphertext = private.public_key().encapsulate()
        assert kms.decapsulate(SharedSecretCiphertextBlob=ciphertext, **same)["SharedSecret"] == secret
        refused("IncorrectKeyMaterialException", bring, key=key, material=pkcs8(mldsa.MLDSA44PrivateKey.generate()))


def multi_region():
    primary = kms.create_key(Origin="EXTERNAL", MultiRegion=True)["KeyMetadata"]["KeyId"]
    refused("KMSInvalidStateException", kms.replicate_key, KeyId=primary, ReplicaRegion="eu-west-1")
    material = os.urandom(32)
    first = bring(primary, material)["KeyMaterialId"]
    replica = kms.replicate_key(KeyId=primary, ReplicaRegion="eu-west-1")["ReplicaKeyMetadata"]
    assert replica["KeyState"] == "PendingImport" and replica["Origin"] == "EXTERNAL", replica
    blob = kms.encrypt(KeyId=primary, Plaintext=MESSAGE)["CiphertextBlob"]
    there = boto3.client("kms", region_name="eu-west-1")

    def import_there(of, **members):
        reply = there.get_parameters_for_import(
            KeyId=primary, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        public = serialization.load_der_public_key(reply["PublicKey"])
        return there.import_key_material(
            KeyId=primary,
            ImportToken=reply["ImportToken"],
            EncryptedKeyMaterial=wrap(public, "RSAES_OAEP_SHA_256", of),
            ExpirationModel=NEVER,
            **members,
        )

    refused("IncorrectKeyMaterialException", import_there, of=os.urandom(32))
    assert import_there(of=material)["KeyMaterialId"] == first
    assert there.decrypt(CiphertextBlob=blob)["Plaintext"] == MESSAGE
    kms.delete_imported_key_material(KeyId=primary)
    assert state(primary) == "PendingImport"
    assert there.decrypt(CiphertextBlob=blob)["Plaintext"] == MESSAGE
    bring(primary, material)

    # The next material comes into the primary key first, and is rotated to once every replica has it.
    second = os.urandom(32)
    new = dict(ImportType="NEW_KEY_MATERIAL")
    refused("UnsupportedOperationException", import_there, of=second, **new)
    two = bring(primary, second, ExpirationModel=NEVER, **new)["KeyMaterialId"]
    waits = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
    assert rotations(primary)[0][two]["KeyMaterialState"] == waits
    assert rotations(primary, there)[0][two]["ImportState"] == "PENDING_IMPORT"
    refused("KMSInvalidStateException", kms.rotate_key_on_demand, KeyId=primary)
    assert import_there(of=second, ImportType="EXISTING_KEY_MATERIAL")["KeyMaterialId"] == two
    there.delete_imported_key_material(KeyId=primary, KeyMaterialId=two)
    assert rotations(primary)[0][two]["KeyMaterialState"] == waits
    import_there(of=second)
    for client in (kms, there):
        assert rotations(primary, client)[0][two]["KeyMaterialState"] == "PENDING_ROTATION"
    refused("UnsupportedOperationException", there.rotate_key_on_demand, KeyId=primary)
    kms.rotate_key_on_demand(KeyId=primary)
    rotated = there.encrypt(KeyId=primary, Plaintext=MESSAGE)["CiphertextBlob"]
    for client in (kms, there):
        assert client.decrypt(CiphertextBlob=rotated)["KeyMaterialId"] == two
        assert client.decrypt(CiphertextBlob=blob)["KeyMaterialId"] == first
    three = bring(primary, os.urandom(32), ExpirationModel=NEVER, **new)["KeyMaterialId"]
    kms.delete_imported_key_material(KeyId=primary, KeyMaterialId=three)
    assert three not in rotations(primary, there)[0]


symmetric()
tokens_and_wrappings()
several_materials()
macs()
pairs()
lattices()
multi_region()
print("done")
