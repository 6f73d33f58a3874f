"""Keys of every spec, driven by boto3 and checked outside by the `cryptography` package."""

import hashlib
import hmac

import boto3
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, padding, rsa, utils

kms = boto3.client("kms")

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {
    "ECC_NIST_P256": (ec.SECP256R1, "256"),
    "ECC_NIST_P384": (ec.SECP384R1, "384"),
    "ECC_NIST_P521": (ec.SECP521R1, "512"),
    "ECC_SECG_P256K1": (ec.SECP256K1, "256"),
}
MESSAGE = b"the message that is signed"


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, (code, error)
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} expected")


def create(spec, usage):
    metadata = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
    assert metadata["KeySpec"] == metadata["CustomerMasterKeySpec"] == spec, metadata
    assert metadata["KeyUsage"] == usage and metadata["KeyState"] == "Enabled", metadata
    return metadata


def public_key(metadata):
    reply = kms.get_public_key(KeyId=metadata["KeyId"])
    for member in ("KeySpec", "KeyUsage"):
        assert reply[member] == metadata[member], reply
    for member in ("SigningAlgorithms", "EncryptionAlgorithms", "KeyAgreementAlgorithms", "EncapsulationAlgorithms"):
        assert reply.get(member) == metadata.get(member), reply
    return serialization.load_der_public_key(reply["PublicKey"])


def digest(bits):
    return hashlib.new(f"sha{bits}", MESSAGE).digest()


def signed(key, algorithm, message, kind):
    """Signs, lets the KMS verify, and checks that it refuses another message and another signature."""
    same = dict(KeyId=key, SigningAlgorithm=algorithm, MessageType=kind)
    reply = kms.sign(Message=message, **same)
    assert reply["SigningAlgorithm"] == algorithm, reply
    signature = reply["Signature"]
    assert kms.verify(Message=message, Signature=signature, **same)["SignatureValid"] is True
    altered = bytes([message[0] ^ 1]) + message[1:]
    refused("KMSInvalidSignatureException", kms.verify, Message=altered, Signature=signature, **same)
    broken = signature[:-1] + bytes([signature[-1] ^ 1])
    refused("KMSInvalidSignatureException", kms.verify, Message=message, Signature=broken, **same)
    refused("DryRunOperationException", kms.sign, Message=message, DryRun=True, **same)
    return signature


def rsa_signatures(spec, bits):
    metadata = create(spec, "SIGN_VERIFY")
    public = public_key(metadata)
    assert isinstance(public, rsa.RSAPublicKey) and public.key_size == bits
    assert len(metadata["SigningAlgorithms"]) == 6 and "EncryptionAlgorithms" not in metadata
    for algorithm in metadata["SigningAlgorithms"]:
        size = algorithm[-3:]
        scheme = HASHES[size]
        pad = padding.PKCS1v15()
        if "PSS" in algorithm:
            pad = padding.PSS(mgf=padding.MGF1(scheme), salt_length=padding.PSS.DIGEST_LENGTH)
        for kind, message in (("RAW", MESSAGE), ("DIGEST", digest(size))):
            signature = signed(metadata["KeyId"], algorithm, message, kind)
            public.verify(signature, MESSAGE, pad, scheme)
    return metadata["KeyId"]


def rsa_encryption(spec, bits):
    metadata = create(spec, "ENCRYPT_DECRYPT")
    key, public = metadata["KeyId"], public_key(metadata)
    assert metadata["EncryptionAlgorithms"] == ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]
    for algorithm, scheme in (("RSAES_OAEP_SHA_1", hashes.SHA1()), ("RSAES_OAEP_SHA_256", hashes.SHA256())):
        longest = bits // 8 - 2 * scheme.digest_size - 2
        same = dict(KeyId=key, EncryptionAlgorithm=algorithm)
        blob = kms.encrypt(Plaintext=b"x" * longest, **same)["CiphertextBlob"]
        reply = kms.decrypt(CiphertextBlob=blob, **same)
        assert reply["Plaintext"] == b"x" * longest and reply["EncryptionAlgorithm"] == algorithm
        assert "KeyMaterialId" not in reply
        told = refused("ValidationException", kms.encrypt, Plaintext=b"x" * (longest + 1), **same)
        assert told == (
            f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {longest} bytes."
        ), told
        outside = public.encrypt(
            b"from outside", padding.OAEP(mgf=padding.MGF1(scheme), algorithm=scheme, label=None)
        )
        assert kms.decrypt(CiphertextBlob=outside, **same)["Plaintext"] == b"from outside"
        broken = outside[:-1] + bytes([outside[-1] ^ 1])
        refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=broken, **same)
        refused("ValidationException", kms.decrypt, CiphertextBlob=outside, EncryptionAlgorithm=algorithm)
        refused("ValidationException", kms.encrypt, Plaintext=b"x", EncryptionContext={"a": "b"}, **same)
    told = refused("InvalidKeyUsageException", kms.encrypt, KeyId=key, Plaintext=b"x")
    assert told == f"Algorithm SYMMETRIC_DEFAULT is incompatible with key spec {spec}.", told
    refused("InvalidKeyUsageException", kms.generate_data_key, KeyId=key, KeySpec="AES_256")
    return key


def elliptic_signatures(spec):
    metadata = create(spec, "SIGN_VERIFY")
    key, public = metadata["KeyId"], public_key(metadata)
    curve, size = CURVES[spec]
    assert isinstance(public.curve, curve), public
    algorithm = f"ECDSA_SHA_{size}"
    assert metadata["SigningAlgorithms"] == [algorithm]
    public.verify(signed(key, algorithm, MESSAGE, "RAW"), MESSAGE, ec.ECDSA(HASHES[size]))
    prehashed = ec.ECDSA(utils.Prehashed(HASHES[size]))
    public.verify(signed(key, algorithm, digest(size), "DIGEST"), digest(size), prehashed)
    told = refused(
        "ValidationException", kms.sign, KeyId=key, Message=b"short", MessageType="DIGEST", SigningAlgorithm=algorithm
    )
    assert told == f"Digest is invalid length for algorithm {algorithm}.", told
    return key


def agreement(spec):
    metadata = create(spec, "KEY_AGREEMENT")
    assert metadata["KeyAgreementAlgorithms"] == ["ECDH"] and "SigningAlgorithms" not in metadata
    key, public = metadata["KeyId"], public_key(metadata)
    curve, _ = CURVES[spec]
    own = ec.generate_private_key(curve())

    def der(of):
        return of.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    same = dict(KeyId=key, KeyAgreementAlgorithm="ECDH")
    reply = kms.derive_shared_secret(PublicKey=der(own), **same)
    assert reply["SharedSecret"] == own.exchange(ec.ECDH(), public), reply
    assert reply["KeyOrigin"] == "AWS_KMS" and reply["KeyAgreementAlgorithm"] == "ECDH"
    other = ec.SECP384R1() if spec != "ECC_NIST_P384" else ec.SECP256R1()
    point = own.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    for bad in (der(ec.generate_private_key(other)), point, b"nonsense", der(own)[:-1]):
        refused("ValidationException", kms.derive_shared_secret, PublicKey=bad, **same)
    refused("DryRunOperationException", kms.derive_shared_secret, PublicKey=der(own), DryRun=True, **same)
    return key


def edwards():
    metadata = create("ECC_NIST_EDWARDS25519", "SIGN_VERIFY")
    key, public = metadata["KeyId"], public_key(metadata)
    assert metadata["SigningAlgorithms"] == ["ED25519_SHA_512", "ED25519_PH_SHA_512"]
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(signed(key, "ED25519_SHA_512", MESSAGE, "RAW"), MESSAGE)
    prehashed = signed(key, "ED25519_PH_SHA_512", digest("512"), "DIGEST")
    try:
        public.verify(prehashed, digest("512"))
        raise AssertionError("the prehashed variant is another scheme")
    except InvalidSignature:
        pass
    for algorithm, kind in (("ED25519_SHA_512", "DIGEST"), ("ED25519_PH_SHA_512", "RAW"), ("ED25519_SHA_512", "EXTERNAL_MU")):
        refused(
            "ValidationException", kms.sign, KeyId=key, Message=digest("512"), MessageType=kind, SigningAlgorithm=algorithm
        )
    return key


def module_lattice(spec, public_type):
    metadata = create(spec, "SIGN_VERIFY")
    key, public = metadata["KeyId"], public_key(metadata)
    assert isinstance(public, public_type), public
    same = dict(KeyId=key, SigningAlgorithm="ML_DSA_SHAKE_256")
    public.verify(signed(key, "ML_DSA_SHAKE_256", MESSAGE, "RAW"), MESSAGE)
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    # FIPS 204, algorithms 2 and 7: an empty context, pure mode.
    tr = hashlib.shake_256(raw).digest(64)
    mu = hashlib.shake_256(tr + b"\x00\x00" + MESSAGE).digest(64)
    external = signed(key, "ML_DSA_SHAKE_256", mu, "EXTERNAL_MU")
    public.verify(external, MESSAGE)
    assert kms.verify(Message=MESSAGE, Signature=external, **same)["SignatureValid"] is True
    refused("ValidationException", kms.sign, Message=mu, MessageType="DIGEST", **same)
    refused("ValidationException", kms.sign, Message=mu[:-1], MessageType="EXTERNAL_MU", **same)
    return key


def encapsulation(level, bytes_of_ciphertext):
    metadata = create(f"ML_KEM_{level}", "ENCAPSULATE_DECAPSULATE")
    key, same = metadata["KeyId"], dict(KeyId=metadata["KeyId"], EncapsulationAlgorithm="ML_KEM")
    assert metadata["EncapsulationAlgorithms"] == ["ML_KEM"] and "SigningAlgorithms" not in metadata
    made = kms.encapsulate(**same)
    secret, ciphertext = made["SharedSecret"], made["SharedSecretCiphertextBlob"]
    assert len(secret) == 32 and len(ciphertext) == bytes_of_ciphertext, made
    assert made["KeyId"] == metadata["Arn"] and made["EncapsulationAlgorithm"] == "ML_KEM", made
    assert kms.decapsulate(SharedSecretCiphertextBlob=ciphertext, **same)["SharedSecret"] == secret
    # Implicit rejection: no error, and another secret.
    altered = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    assert kms.decapsulate(SharedSecretCiphertextBlob=altered, **same)["SharedSecret"] != secret
    for bad in (ciphertext[:-1], ciphertext + b"x", b"x"):
        refused("InvalidCiphertextException", kms.decapsulate, SharedSecretCiphertextBlob=bad, **same)
    refused("DryRunOperationException", kms.encapsulate, DryRun=True, **same)
    refused("DryRunOperationException", kms.decapsulate, SharedSecretCiphertextBlob=ciphertext, DryRun=True, **same)
    refused("InvalidKeyUsageException", kms.encrypt, KeyId=key, Plaintext=b"x")
    # The package knows the two larger parameter sets.
    if level != "512":
        outside, ciphertext = public_key(metadata).encapsulate()
        assert kms.decapsulate(SharedSecretCiphertextBlob=ciphertext, **same)["SharedSecret"] == outside
        assert isinstance(public_key(metadata), getattr(mlkem, f"MLKEM{level}PublicKey"))
    else:
        der = kms.get_public_key(KeyId=key)
        assert len(der["PublicKey"]) == 800 + 22 and der["EncapsulationAlgorithms"] == ["ML_KEM"], der
    return key


def macs(bits):
    metadata = create(f"HMAC_{bits}", "GENERATE_VERIFY_MAC")
    key, algorithm = metadata["KeyId"], f"HMAC_SHA_{bits}"
    assert metadata["MacAlgorithms"] == [algorithm], metadata
    same = dict(KeyId=key, MacAlgorithm=algorithm)
    mac = kms.generate_mac(Message=MESSAGE, **same)["Mac"]
    assert len(mac) == int(bits) // 8
    assert mac == kms.generate_mac(Message=MESSAGE, **same)["Mac"]
    assert kms.verify_mac(Message=MESSAGE, Mac=mac, **same)["MacValid"] is True
    assert refused("KMSInvalidMacException", kms.verify_mac, Message=b"other", Mac=mac, **same) == ""
    refused("KMSInvalidMacException", kms.verify_mac, Message=MESSAGE, Mac=mac[:-1], **same)
    other = "HMAC_SHA_384" if bits != "384" else "HMAC_SHA_256"
    refused("InvalidKeyUsageException", kms.generate_mac, KeyId=key, Message=MESSAGE, MacAlgorithm=other)
    refused("UnsupportedOperationException", kms.get_public_key, KeyId=key)
    refused("DryRunOperationException", kms.generate_mac, Message=MESSAGE, DryRun=True, **same)
    return key


def data_key_pairs(specs):
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    context = {"pair": "1"}
    for spec in specs:
        same = dict(KeyId=key, KeyPairSpec=spec, EncryptionContext=context)
        pair = kms.generate_data_key_pair(**same)
        private = serialization.load_der_private_key(pair["PrivateKeyPlaintext"], None)
        public = serialization.load_der_public_key(pair["PublicKey"])
        assert private.public_key() == public and pair["KeyPairSpec"] == spec
        opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"], EncryptionContext=context)
        assert opened["Plaintext"] == pair["PrivateKeyPlaintext"]
        assert opened["KeyMaterialId"] == pair["KeyMaterialId"]
        without = kms.generate_data_key_pair_without_plaintext(**same)
        assert "PrivateKeyPlaintext" not in without and without["PublicKey"] != pair["PublicKey"]
    for level in ("512", "768", "1024"):
        pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec=f"ML_KEM_{level}")
        # RFC 9935: a seed of 64 bytes behind 22 of DER.
        assert len(pair["PrivateKeyPlaintext"]) == 86, pair
        if level != "512":
            private = serialization.load_der_private_key(pair["PrivateKeyPlaintext"], None)
            assert private.public_key() == serialization.load_der_public_key(pair["PublicKey"])
    refused("DryRunOperationException", kms.generate_data_key_pair, DryRun=True, **same)
    refused("UnsupportedOperationException", kms.generate_data_key_pair, KeyId=key, KeyPairSpec="SM2")


def kinds_do_not_mix(symmetric, mac, sign, encrypt, agree):
    told = refused("InvalidKeyUsageException", kms.sign, KeyId=symmetric, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")
    assert told.endswith("key usage is ENCRYPT_DECRYPT which is not valid for Sign."), told
    told = refused("InvalidKeyUsageException", kms.sign, KeyId=sign, Message=b"x", SigningAlgorithm="RSASSA_PSS_SHA_256")
    assert told == "Algorithm RSASSA_PSS_SHA_256 is incompatible with key spec ECC_NIST_P256.", told
    refused("InvalidKeyUsageException", kms.encrypt, KeyId=sign, Plaintext=b"x")
    refused("InvalidKeyUsageException", kms.generate_mac, KeyId=sign, Message=b"x", MacAlgorithm="HMAC_SHA_256")
    refused("InvalidKeyUsageException", kms.sign, KeyId=mac, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")
    refused("InvalidKeyUsageException", kms.sign, KeyId=agree, Message=b"x", SigningAlgorithm="ECDSA_SHA_256")
    refused("InvalidKeyUsageException", kms.encapsulate, KeyId=sign, EncapsulationAlgorithm="ML_KEM")
    refused("InvalidKeyUsageException", kms.derive_shared_secret, KeyId=sign, KeyAgreementAlgorithm="ECDH", PublicKey=b"x")
    refused("UnsupportedOperationException", kms.get_public_key, KeyId=symmetric)
    blob = kms.encrypt(KeyId=symmetric, Plaintext=b"moved", EncryptionContext={"a": "b"})["CiphertextBlob"]
    moved = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext={"a": "b"},
        DestinationKeyId=encrypt,
        DestinationEncryptionAlgorithm="RSAES_OAEP_SHA_256",
    )
    assert "SourceKeyMaterialId" in moved and "DestinationKeyMaterialId" not in moved, moved
    back = kms.re_encrypt(
        CiphertextBlob=moved["CiphertextBlob"],
        SourceKeyId=encrypt,
        SourceEncryptionAlgorithm="RSAES_OAEP_SHA_256",
        DestinationKeyId=symmetric,
    )
    assert kms.decrypt(CiphertextBlob=back["CiphertextBlob"])["Plaintext"] == b"moved"
    for spec, usage, code in (
        ("SM2", "SIGN_VERIFY", "UnsupportedOperationException"),
        ("ECC_NIST_P256", "ENCRYPT_DECRYPT", "ValidationException"),
        ("ECC_SECG_P256K1", "KEY_AGREEMENT", "ValidationException"),
        ("HMAC_256", "SIGN_VERIFY", "ValidationException"),
        ("ML_KEM_768", "KEY_AGREEMENT", "ValidationException"),
        ("SYMMETRIC_DEFAULT", "SIGN_VERIFY", "ValidationException"),
    ):
        refused(code, kms.create_key, KeySpec=spec, KeyUsage=usage)
    refused("ValidationException", kms.create_key, KeySpec="RSA_2048")


rsa_signatures("RSA_2048", 2048)
rsa_signatures("RSA_3072", 3072)
encrypt = rsa_encryption("RSA_2048", 2048)
rsa_encryption("RSA_4096", 4096)
sign = [elliptic_signatures(spec) for spec in CURVES][0]
agree = [agreement(spec) for spec in ("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521")][0]
edwards()
for level in ("44", "65", "87"):
    module_lattice(f"ML_DSA_{level}", getattr(mldsa, f"MLDSA{level}PublicKey"))
for level, length in (("512", 768), ("768", 1088), ("1024", 1568)):
    encapsulation(level, length)
mac = [macs(bits) for bits in ("224", "256", "384", "512")][1]
data_key_pairs(["RSA_2048", *CURVES, "ECC_NIST_EDWARDS25519"])
kinds_do_not_mix(kms.create_key()["KeyMetadata"]["KeyId"], mac, sign, encrypt, agree)
print("done")
