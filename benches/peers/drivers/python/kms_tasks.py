"""Does the task list of benches/peers/src/kms_client.rs with boto3, or, given its path, with the aws command line.

The interpreter needs boto3 and `cryptography`, which verifies outside what the KMS signs.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

REGION = os.environ["AWS_DEFAULT_REGION"]
REPLICA_REGION = "eu-west-1"
MESSAGE = b"a message"
ABOUT = {"about": "tasks", "by": "Python"}
BLOBS = ("Plaintext", "CiphertextBlob", "Signature", "PublicKey", "ImportToken")


class Refused(Exception):
    """An error that the KMS answered, by its code."""


class Boto3:
    def __init__(self, region, **credentials):
        self.client = boto3.client("kms", region_name=region, **credentials)

    def __call__(self, operation, **members):
        try:
            return getattr(self.client, xform_name(operation))(**members)
        except ClientError as error:
            raise Refused(error.response["Error"]["Code"]) from error


class CommandLine:
    """The aws command line: blobs come from files and leave in base64."""

    def __init__(self, program, region, aws_access_key_id=None, aws_secret_access_key=None):
        self.program = program
        own = {"AWS_ACCESS_KEY_ID": aws_access_key_id, "AWS_SECRET_ACCESS_KEY": aws_secret_access_key}
        given = {name: value for name, value in own.items() if value}
        self.environment = {**os.environ, **given, "AWS_DEFAULT_REGION": region, "AWS_PAGER": ""}

    def __call__(self, operation, **members):
        with tempfile.TemporaryDirectory() as folder:
            arguments = []
            for name, value in members.items():
                if value is True:
                    arguments += ["--" + xform_name(name, "-")]
                    continue
                if isinstance(value, bytes):
                    file = os.path.join(folder, name)
                    with open(file, "wb") as blob:
                        blob.write(value)
                    value = f"fileb://{file}"
                elif not isinstance(value, str):
                    value = json.dumps(value)
                arguments += ["--" + xform_name(name, "-"), value]
            command = [self.program, "kms", xform_name(operation, "-"), "--output", "json", *arguments]
            done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            told = done.stderr.strip()
            code = told.partition("(")[2].partition(")")[0]
            raise Refused(code) if code else RuntimeError(told)
        reply = json.loads(done.stdout or "{}")
        decoded = {name: base64.b64decode(reply[name]) for name in BLOBS if name in reply}
        return {**reply, **decoded}


def client(region=REGION, **credentials):
    return CommandLine(sys.argv[1], region, **credentials) if len(sys.argv) > 1 else Boto3(region, **credentials)


def refused(code, call, operation, **members):
    try:
        call(operation, **members)
    except Refused as error:
        assert str(error) == code, f"{code} expected, not {error}"
        return
    raise AssertionError(f"{code} expected")


def opens(call, blob, about=ABOUT):
    assert call("Decrypt", CiphertextBlob=blob, EncryptionContext=about)["Plaintext"] == MESSAGE


class Tasks:
    def __init__(self):
        self.kms = client()
        self.key = self.before = None

    def encrypted(self, key):
        return self.kms("Encrypt", KeyId=key, Plaintext=MESSAGE, EncryptionContext=ABOUT)["CiphertextBlob"]

    def create(self):
        made = self.kms("CreateKey", Description="tasks", Tags=[{"TagKey": "by", "TagValue": "Python"}])
        self.key = made["KeyMetadata"]["KeyId"]
        alias = f"alias/tasks-{os.getpid()}"
        self.kms("CreateAlias", AliasName=alias, TargetKeyId=self.key)
        described = self.kms("DescribeKey", KeyId=alias)["KeyMetadata"]
        assert described["KeyId"] == self.key and described["KeyState"] == "Enabled", described

    def encrypt(self):
        self.before = self.encrypted(self.key)
        opens(self.kms, self.before)
        refused("InvalidCiphertextException", self.kms, "Decrypt", CiphertextBlob=self.before)

    def rotate(self):
        self.kms("RotateKeyOnDemand", KeyId=self.key)
        rotations = self.kms("ListKeyRotations", KeyId=self.key)["Rotations"]
        assert [each["RotationType"] for each in rotations] == ["ON_DEMAND"], rotations
        opens(self.kms, self.encrypted(self.key))

    def decrypt_old(self):
        opens(self.kms, self.before)

    def sign(self):
        # Each call of the command line takes most of a second: there one kind of key stands for all.
        kinds = 1 if isinstance(self.kms, CommandLine) else 3
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
        for spec, algorithm, how in (
            ("ECC_NIST_P256", "ECDSA_SHA_256", (ec.ECDSA(hashes.SHA256()),)),
            ("RSA_2048", "RSASSA_PSS_SHA_256", (pss, hashes.SHA256())),
            ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", ()),
        )[:kinds]:
            key = self.kms("CreateKey", KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
            signature = self.kms("Sign", KeyId=key, Message=MESSAGE, SigningAlgorithm=algorithm)["Signature"]
            public = serialization.load_der_public_key(self.kms("GetPublicKey", KeyId=key)["PublicKey"])
            public.verify(signature, MESSAGE, *how)
            try:
                public.verify(bytes([signature[0] ^ 1]) + signature[1:], MESSAGE, *how)
            except InvalidSignature:
                continue
            raise AssertionError(f"an altered signature of {algorithm} verifies")

    def import_material(self):
        key = self.kms("CreateKey", Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
        parameters = self.kms(
            "GetParametersForImport", KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
        wrapped = serialization.load_der_public_key(parameters["PublicKey"]).encrypt(os.urandom(32), oaep)
        self.kms(
            "ImportKeyMaterial",
            KeyId=key,
            ImportToken=parameters["ImportToken"],
            EncryptedKeyMaterial=wrapped,
            ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
        )
        opens(self.kms, self.encrypted(key))

    def grant(self):
        second = client(
            aws_access_key_id=os.environ["SECOND_ACCESS_KEY_ID"],
            aws_secret_access_key=os.environ["SECOND_SECRET_ACCESS_KEY"],
        )
        blob = self.encrypted(self.key)
        same = dict(CiphertextBlob=blob, EncryptionContext=ABOUT)
        refused("AccessDeniedException", second, "Decrypt", **same)
        grant = self.kms(
            "CreateGrant",
            KeyId=self.key,
            GranteePrincipal=os.environ["SECOND_ARN"],
            Operations=["Decrypt"],
            Constraints={"EncryptionContextSubset": {"about": "tasks"}},
        )
        opens(second, blob)
        refused("AccessDeniedException", second, "Decrypt", CiphertextBlob=blob, EncryptionContext={"by": "Python"})
        self.kms("RevokeGrant", KeyId=self.key, GrantId=grant["GrantId"])
        refused("AccessDeniedException", second, "Decrypt", **same)

    def replicate(self):
        key = self.kms("CreateKey", MultiRegion=True)["KeyMetadata"]["KeyId"]
        blob, there = self.encrypted(key), client(REPLICA_REGION)
        refused("AccessDeniedException", there, "Decrypt", CiphertextBlob=blob, EncryptionContext=ABOUT)
        self.kms("ReplicateKey", KeyId=key, ReplicaRegion=REPLICA_REGION)
        opens(there, blob)


tasks = Tasks()
for name, task in (
    ("create", tasks.create),
    ("encrypt", tasks.encrypt),
    ("rotate", tasks.rotate),
    ("decrypt-old", tasks.decrypt_old),
    ("sign", tasks.sign),
    ("import", tasks.import_material),
    ("grant", tasks.grant),
    ("replicate", tasks.replicate),
):
    line = {"task": name}
    try:
        task()
    except Exception as error:
        line["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(line), flush=True)
