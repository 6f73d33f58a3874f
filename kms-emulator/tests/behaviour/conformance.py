"""Every member of every operation of botocore's API models, fit and unfit, sent raw; the replies checked.

What is sent is made from the model, and so is what has to come back: a `SerializationException` for a member
of the wrong JSON type, a `ValidationException` that names each constraint that a value breaks and no other, and
for what fits the model neither of them. Botocore signs; it does not see the members, which it would refuse
itself.
"""

import base64
import http.client
import json
import os
import re
import sys
from urllib.parse import urlsplit

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
REGION = os.environ["AWS_DEFAULT_REGION"]
CREDENTIALS = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
MODELS = botocore.session.get_session()

# What every operation may answer beside its own errors; the model leaves them out.
COMMON = {"AccessDeniedException", "SerializationException", "ValidationException"}
# Errors that AWS answers and that the model of the operation leaves out, by the guide.
BESIDE_THE_MODEL = {
    # "Recipient" and external key stores, for which there is no other code.
    "UnsupportedOperationException",
}
SHOWN_CHARACTERS = 256
DEVIATIONS_SHOWN = 200
# Values for patterns, of which each member gets those that fit its own.
CANDIDATES = [
    "a", "alias/a", "0" * 12, "a" * 64, "a.b.c", "cluster-aaaaaaaaaaa", "us-east-1", "vpc-12345678", "default",
    "arn:aws:iam::111122223333:role/a", "backup-aaaaaaaaaaa", "hsm-aaaaaaaaaaa", "subnet-12345678", "10.0.0.1",
    "https://example.com", "/kms/xks/v1/", "/kms/xks/v1", "com.amazonaws.vpce.us-east-1.vpce-svc-1", "A" * 43,
    "hsm1.medium", "7", "a" * 20, "A" * 20, "us-east-1a", "eni-12345678", "arn:aws:s3:::example-bucket",
]  # fmt: skip
ODD = ["", " ", "a b", "ä", "\u0100", "\n", "a\tb", "a\n", "alias/", "*", "a/b", "\u0000", "a.b", "-", "_"]

# Subnets that every server has, in two zones.
SUBNETS = ["subnet-0000000a", "subnet-0000000b"]
# Names that AWS answers though the model's older enumeration does not have them.
NEWER_SPECS = re.compile("ML_DSA_|ML_KEM_|ECC_NIST_EDWARDS25519")

deviations = []
cases = 0
# How many replies of each operation were held to the model.
replies = {}


def deviation(where, told):
    deviations.append(f"{where}: {told}")


class Service:
    """A service of the JSON protocol, called without a client."""

    def __init__(self, name):
        self.model = MODELS.get_service_model(name)
        self.signer = SigV4Auth(CREDENTIALS, self.model.signing_name, REGION)
        self.connection = http.client.HTTPConnection(urlsplit(ENDPOINT).netloc)

    def call(self, operation, **members):
        """The reply to what has to succeed, tried before without effect where the operation can be."""
        if "DryRun" in self.model.operation_model(operation).input_shape.members:
            tried = {**members, "DryRun": True}
            code, told = self.send(operation, tried)
            if code != "DryRunOperationException":
                deviation(f"{operation} {shortened(tried)}", f"DryRunOperationException expected, told {code} {told}")
        code, reply = self.send(operation, members)
        if code:
            raise AssertionError(f"{operation} {shortened(members)}: {code} {reply}")
        return reply

    def send(self, operation, members):
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{self.model.metadata['targetPrefix']}.{operation}",
        }
        body = json.dumps(members).encode()
        request = AWSRequest("POST", ENDPOINT + "/", headers, body)
        self.signer.add_auth(request)
        self.connection.request("POST", "/", body, dict(request.headers.items()))
        reply = self.connection.getresponse()
        text = reply.read()
        where = f"{operation} {shortened(members)}"
        if reply.getheader("Content-Type") != "application/x-amz-json-1.1":
            deviation(where, f"content type {reply.getheader('Content-Type')}")
        if not reply.getheader("x-amzn-RequestId"):
            deviation(where, "no request id")
        parsed = json.loads(text) if text else {}
        if reply.status == 200:
            check_reply(self.model.operation_model(operation), parsed, where)
            replies[operation] = replies.get(operation, 0) + 1
            return None, parsed
        check_error(self.model.operation_model(operation), reply.status, parsed, where)
        return parsed.get("__type"), parsed.get("message")


def shortened(value):
    text = json.dumps(value)
    return text if len(text) < 300 else text[:300] + "…"


# --- replies -------------------------------------------------------------------------------------


def check_error(operation, status, body, where):
    code = body.get("__type")
    known = {shape.name for shape in operation.error_shapes} | COMMON | BESIDE_THE_MODEL
    if code not in known:
        deviation(where, f"{code} is no error of the operation ({body.get('message')})")
    if set(body) != {"__type", "message"} or not isinstance(body["message"], str):
        deviation(where, f"the error has the members {sorted(body)}")
    fault = any(shape.name == code and shape.metadata.get("fault") for shape in operation.error_shapes)
    if fault != (status == 500) or (not fault and status != 400):
        deviation(where, f"{code} with the status {status}")


def check_reply(operation, body, where):
    if operation.output_shape is None:
        if body != {}:
            deviation(where, f"a reply where the model has none: {shortened(body)}")
        return
    check_value(operation.output_shape, body, where, "reply")


def check_value(shape, value, where, path):
    def wrong(told):
        deviation(where, f"{path} {told}: {shortened(value)}")

    kinds = {
        "structure": dict, "map": dict, "list": list, "string": str, "blob": str, "boolean": bool, "integer": int,
    }  # fmt: skip
    kind = kinds.get(shape.type_name, (int, float))
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        wrong(f"is no {shape.type_name}")
    elif shape.type_name == "structure":
        for name in shape.required_members:
            if name not in value:
                wrong(f"has no {name}")
        for name, inner in value.items():
            if name in shape.members:
                check_value(shape.members[name], inner, where, f"{path}.{name}")
            else:
                wrong(f"has the member {name}, which the model has not")
    elif shape.type_name == "list":
        for item in value:
            check_value(shape.member, item, where, f"{path}[]")
    elif shape.type_name == "map":
        for key, item in value.items():
            check_value(shape.key, key, where, f"{path}{{}}")
            check_value(shape.value, item, where, f"{path}[{key}]")
    elif shape.name == "CustomerMasterKeySpec" and NEWER_SPECS.match(value):
        pass
    elif shape.name == "VpcId":
        # The model's pattern ends after the first digit, which no VPC's id fits.
        if not re.fullmatch(r"vpc-[0-9a-f]{8,17}", value):
            wrong("is no id of a VPC")
    elif broken(shape, decoded(shape, value)):
        wrong(f"breaks {broken(shape, decoded(shape, value))}")


def decoded(shape, value):
    return base64.b64decode(value, validate=True) if shape.type_name == "blob" else value


# --- constraints ---------------------------------------------------------------------------------


def broken(shape, value):
    """The rules of the model that a value breaks, as AWS words them."""
    rules = []
    limits = shape.metadata
    if getattr(shape, "enum", None):
        if value not in shape.enum:
            rules.append(f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
        return rules
    what = "value" if shape.type_name in ("integer", "long") else "length"
    size = value if what == "value" else len(value) if hasattr(value, "__len__") else None
    if size is None or isinstance(value, bool):
        return rules
    if "min" in limits and size < limits["min"]:
        rules.append(f"Member must have {what} greater than or equal to {limits['min']}")
    if "max" in limits and size > limits["max"]:
        rules.append(f"Member must have {what} less than or equal to {limits['max']}")
    if "pattern" in limits and not fits(limits["pattern"], value):
        rules.append(f"Member must satisfy regular expression pattern: {limits['pattern']}")
    return rules


# Classes of characters that Python's expressions lack, as far as the values here go.
CLASSES = {r"\p{L}": "a-zA-Z\u00aa-\u024f", r"\p{N}": "0-9", r"\p{Z}": " \u00a0"}


def fits(pattern, text):
    # Java's `matches`: the whole text, letters and blanks of ASCII, and a final line break is no exception.
    for name, letters in CLASSES.items():
        pattern = pattern.replace(name, letters)
    return re.fullmatch(pattern.replace("$", r"\Z"), text, re.ASCII) is not None


def all_rules(shape):
    """Every rule of an item's shape: a list whose items break one is told all of them."""
    limits = shape.metadata
    if getattr(shape, "enum", None):
        return [f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"]
    rules = []
    if "max" in limits:
        rules.append(f"Member must have length less than or equal to {limits['max']}")
    if "min" in limits:
        rules.append(f"Member must have length greater than or equal to {limits['min']}")
    if "pattern" in limits:
        rules.append(f"Member must satisfy regular expression pattern: {limits['pattern']}")
    return rules


def shown(shape, value):
    if shape.type_name == "blob" or shape.metadata.get("sensitive"):
        return "Value"
    if shape.type_name == "list" and shape.member.type_name == "structure":
        return "Value"
    text = f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
    return f"Value '{text[:SHOWN_CHARACTERS]}'"


def sentences(shape, value, path, required=False):
    """The sentences of the refusal of a well-typed value."""
    if value is None:
        return [f"Value null at '{path}' failed to satisfy constraint: Member must not be null"] if required else []
    found = [
        f"{shown(shape, decoded(shape, value))} at '{path}' failed to satisfy constraint: {rule}"
        for rule in broken(shape, decoded(shape, value))
    ]
    if shape.type_name == "structure":
        for name, inner in shape.members.items():
            below = f"{path}.{lowered(name)}" if path else lowered(name)
            found += sentences(inner, value.get(name), below, name in shape.required_members)
    elif shape.type_name == "list" and shape.member.type_name == "structure":
        for index, item in enumerate(value):
            found += sentences(shape.member, item, f"{path}.{index + 1}.member")
    elif shape.type_name == "list":
        if any(broken(shape.member, item) for item in value):
            rules = ", ".join(all_rules(shape.member))
            found.append(
                f"{shown(shape, value)} at '{path}' failed to satisfy constraint: "
                f"Member must satisfy constraint: [{rules}]"
            )
    return found


def lowered(name):
    return name[0].lower() + name[1:]


# --- values --------------------------------------------------------------------------------------


def fit(shape, operation=""):
    """A value that fits the model."""
    limits = shape.metadata
    if getattr(shape, "enum", None):
        return shape.enum[0]
    least = max(limits.get("min", 1), 1)
    if shape.type_name == "string":
        if "pattern" not in limits:
            return "a" * least
        texts = [text for text in CANDIDATES if not broken(shape, text)]
        if not texts:
            raise AssertionError(f"no candidate for {shape.name} {limits}")
        return texts[0]
    return {
        "blob": lambda: base64.b64encode(b"a" * least).decode(),
        "integer": lambda: least,
        "long": lambda: least,
        "boolean": lambda: False,
        "timestamp": lambda: 1.0,
        "list": lambda: [fit(shape.member)] * limits.get("min", 1),
        "map": lambda: {},
        "structure": lambda: {name: fit(shape.members[name]) for name in shape.required_members},
    }[shape.type_name]()


WRONG_TYPES = {
    "string": [1, True, ["a"], {"a": "b"}],
    "blob": [1, False, ["YQ=="], {}, "not base64!"],
    "integer": ["1", True, [1], {}, 1.5],
    "long": ["1", True, [1], {}],
    "boolean": ["true", 1, [True], {}],
    "timestamp": ["soon", True, [1], {}],
    "list": ["a", 1, True, {}],
    "map": ["a", 1, True, []],
    "structure": ["a", 1, True, []],
}


def typed_values(shape):
    """Values of the right type, some of which fit."""
    limits = shape.metadata
    if getattr(shape, "enum", None):
        return [*shape.enum, "", "BAD", shape.enum[0].lower(), shape.enum[0] + " "]
    least, most = limits.get("min"), limits.get("max")
    if shape.type_name == "string":
        values = CANDIDATES + ODD if "pattern" in limits else [""]
        letters = [0, least, (least or 0) - 1, most, (most or -1) + 1]
        return values + ["a" * n for n in letters if n is not None and n >= 0]
    if shape.type_name == "blob":
        lengths = [0, least, most, (most or -1) + 1]
        return [base64.b64encode(b"a" * n).decode() for n in lengths if n is not None]
    if shape.type_name == "integer":
        bounds = [-(2**31), -1, 0, least, (least or 1) - 1, most, (most or 0) + 1, 2**31 - 1]
        return [n for n in bounds if n is not None]
    if shape.type_name == "boolean":
        return [True, False]
    if shape.type_name == "list":
        item = fit(shape.member)
        values = [[], [item]]
        if most:
            values += [[item] * most, [item] * (most + 1)]
        values += [[other] for other in typed_values(shape.member)]
        return values + [[item, other] for other in typed_values(shape.member)[:3]]
    if shape.type_name == "structure":
        whole = {name: fit(inner) for name, inner in shape.members.items()}
        values = [{}, whole, {**whole, "Unknown": 1}]
        for name, inner in shape.members.items():
            values += [{**whole, name: other} for other in typed_values(inner)] + [{**whole, name: None}]
        return values
    if shape.type_name == "map":
        return [{}, {"a": fit(shape.value)}]
    return [1.0, 1]


def mistyped_values(shape):
    values = list(WRONG_TYPES[shape.type_name])
    if shape.type_name == "list":
        values += [[other] for other in mistyped_values(shape.member)]
    if shape.type_name == "map":
        values += [{"a": 1}, {"a": {}}, {"a": ["b"] if shape.value.type_name == "string" else "b"}]
    if shape.type_name == "structure":
        for name, inner in shape.members.items():
            values += [{name: other} for other in mistyped_values(inner)]
    return values


# --- cases ---------------------------------------------------------------------------------------


def try_typed(service, operation, members):
    global cases
    cases += 1
    expected = sorted(sentences(operation.input_shape, members, ""))
    code, told = service.send(operation.name, members)
    head = re.match(r"(\d+) validation errors? detected: ", told) if isinstance(told, str) else None
    where = f"{operation.name} {shortened(members)}"
    if not expected:
        if code == "SerializationException" or head:
            deviation(where, f"fits the model and is refused: {code} {told}")
        return
    plural = "error" if len(expected) == 1 else "errors"
    head = f"{len(expected)} validation {plural} detected: "
    if code != "ValidationException" or not told.startswith(head):
        deviation(where, f"expected {head}{expected}, told {code} {told}")
    elif sorted(told[len(head) :].split("; ")) != expected:
        deviation(where, f"expected {expected}, told {told}")


def try_mistyped(service, operation, members):
    global cases
    cases += 1
    code, told = service.send(operation.name, members)
    if code != "SerializationException":
        deviation(f"{operation.name} {shortened(members)}", f"expected SerializationException, told {code} {told}")


def try_operation(service, operation):
    shape = operation.input_shape
    base = fit(shape) if shape else {}
    if shape is None or not shape.members:
        return
    try_typed(service, operation, {**base, "Unknown": {"a": [1]}})
    try_typed(service, operation, {})
    for name, inner in shape.members.items():
        try_typed(service, operation, {key: value for key, value in base.items() if key != name})
        try_typed(service, operation, {**base, name: None})
        for value in typed_values(inner):
            try_typed(service, operation, {**base, name: value})
        for value in mistyped_values(inner):
            try_mistyped(service, operation, {**base, name: value})
    for body in ([], "a", 1, None):
        try_mistyped(service, operation, body)


# --- replies to what succeeds --------------------------------------------------------------------


def text(value):
    return base64.b64encode(value).decode()


def use_kms(kms):
    """Every operation of the KMS but those of custom key stores, with replies of every shape that it has."""
    call = kms.call
    tags = [{"TagKey": "a", "TagValue": "b"}]
    created = call("CreateKey", Description="d", Tags=tags, MultiRegion=True)["KeyMetadata"]
    key, same = created["KeyId"], {"KeyId": created["KeyId"]}
    for spec in kms.model.shape_for("KeySpec").enum:
        if spec != "SM2" and spec[-4:] not in ("3072", "4096"):
            usages = {"SYMMETRIC": "ENCRYPT_DECRYPT", "HMAC": "GENERATE_VERIFY_MAC", "ML_KEM": "ENCAPSULATE_DECAPSULATE"}
            usage = [usage for prefix, usage in usages.items() if spec.startswith(prefix)] or ["SIGN_VERIFY"]
            made = call("CreateKey", KeySpec=spec, KeyUsage=usage[0])["KeyMetadata"]["KeyId"]
            call("DescribeKey", KeyId=made)
            if usage[0] in ("SIGN_VERIFY", "ENCAPSULATE_DECAPSULATE"):
                call("GetPublicKey", KeyId=made)
            use_key(call, made, spec)
    for spec, usage in (("RSA_2048", "ENCRYPT_DECRYPT"), ("ECC_NIST_P256", "KEY_AGREEMENT")):
        made = call("CreateKey", KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
        public = call("GetPublicKey", KeyId=made)["PublicKey"]
        if usage == "KEY_AGREEMENT":
            call("DeriveSharedSecret", KeyId=made, KeyAgreementAlgorithm="ECDH", PublicKey=public)
    for operation in ("GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"):
        call(operation, KeyPairSpec="ECC_NIST_P256", **same)
    call("GenerateRandom", NumberOfBytes=32)
    context = {"a": "b"}
    blob = call("Encrypt", Plaintext=text(b"x"), EncryptionContext=context, **same)["CiphertextBlob"]
    call("Decrypt", CiphertextBlob=blob, EncryptionContext=context)
    call("ReEncrypt", CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=key)
    call("GenerateDataKey", KeySpec="AES_256", **same)
    call("GenerateDataKeyWithoutPlaintext", NumberOfBytes=9, **same)
    call("GetKeyLastUsage", **same)
    call("GetKeyLastUsage", KeyId=call("CreateKey")["KeyMetadata"]["KeyId"])

    for name in ("alias/a", "alias/b"):
        call("CreateAlias", AliasName=name, TargetKeyId=key)
    call("UpdateAlias", AliasName="alias/b", TargetKeyId=key)
    call("ListAliases", Limit=1)
    call("DeleteAlias", AliasName="alias/b")
    call("ListKeys", Limit=1)
    call("ListKeys", ResourceOwners=["OTHER_ACCOUNTS_VIA_RAM"])
    call("TagResource", Tags=[{"TagKey": "b", "TagValue": ""}], **same)
    page = call("ListResourceTags", Limit=1, **same)
    call("ListResourceTags", Marker=page["NextMarker"], **same)
    call("UntagResource", TagKeys=["b"], **same)
    call("UpdateKeyDescription", Description="", **same)
    policy = call("GetKeyPolicy", **same)["Policy"]
    call("PutKeyPolicy", Policy=policy, PolicyName="default", **same)
    call("ListKeyPolicies", **same)
    call("DescribeCustomKeyStores")

    grant = {
        "GranteePrincipal": "arn:aws:iam::111122223333:user/a", "RetiringPrincipal": "arn:aws:iam::111122223333:user/b",
        "Operations": ["Decrypt"], "Constraints": {"EncryptionContextSubset": {"a": "b"}}, "Name": "n",
    }  # fmt: skip
    made = call("CreateGrant", **grant, **same)
    other = call("CreateGrant", **{**grant, "Name": "m"}, **same)
    call("ListGrants", Limit=1, **same)
    call("ListRetirableGrants", RetiringPrincipal=grant["RetiringPrincipal"])
    call("RetireGrant", GrantToken=made["GrantToken"])
    call("RevokeGrant", GrantId=other["GrantId"], **same)

    call("EnableKeyRotation", RotationPeriodInDays=90, **same)
    call("GetKeyRotationStatus", **same)
    call("DisableKeyRotation", **same)
    call("GetKeyRotationStatus", **same)
    call("RotateKeyOnDemand", **same)
    call("ListKeyRotations", IncludeKeyMaterial="ALL_KEY_MATERIAL", **same)
    call("ReplicateKey", ReplicaRegion="eu-west-1", Tags=tags, **same)
    call("DescribeKey", **same)
    imported = call("CreateKey", Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    call("DescribeKey", KeyId=imported)
    call("GetParametersForImport", KeyId=imported, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048")
    call("ListKeyRotations", KeyId=imported, IncludeKeyMaterial="ALL_KEY_MATERIAL")
    call("DeleteImportedKeyMaterial", KeyId=imported)
    call("UpdatePrimaryRegion", PrimaryRegion="eu-west-1", **same)

    call("DisableKey", **same)
    call("EnableKey", **same)
    call("ScheduleKeyDeletion", PendingWindowInDays=7, **same)
    call("DescribeKey", **same)
    call("CancelKeyDeletion", **same)


def use_key(call, key, spec):
    """The operations of one kind of key."""
    message = {"KeyId": key, "Message": text(b"x")}
    if spec.startswith("HMAC"):
        algorithm = spec.replace("_", "_SHA_")
        made = call("GenerateMac", MacAlgorithm=algorithm, **message)["Mac"]
        call("VerifyMac", MacAlgorithm=algorithm, Mac=made, **message)
    elif spec.startswith("ML_KEM"):
        same = {"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"}
        made = call("Encapsulate", **same)["SharedSecretCiphertextBlob"]
        call("Decapsulate", SharedSecretCiphertextBlob=made, **same)
    elif spec != "SYMMETRIC_DEFAULT":
        algorithm = call("GetPublicKey", KeyId=key)["SigningAlgorithms"][0]
        made = call("Sign", SigningAlgorithm=algorithm, **message)["Signature"]
        call("Verify", SigningAlgorithm=algorithm, Signature=made, **message)


def use_cloudhsm(cloudhsm):
    """What a cluster allows before somebody signs its certificate."""
    call = cloudhsm.call
    tags = [{"Key": "a", "Value": "b"}]
    days = {"Type": "DAYS", "Value": "7"}
    made = call("CreateCluster", HsmType="hsm1.medium", SubnetIds=SUBNETS, BackupRetentionPolicy=days, TagList=tags)
    cluster = {"ClusterId": made["Cluster"]["ClusterId"]}
    same = {"ResourceId": cluster["ClusterId"]}
    call("TagResource", TagList=[{"Key": "b", "Value": ""}], **same)
    page = call("ListTags", MaxResults=1, **same)
    call("ListTags", NextToken=page["NextToken"], **same)
    call("UntagResource", TagKeyList=["b"], **same)
    call("ModifyCluster", BackupRetentionPolicy={"Type": "DAYS", "Value": "379"}, **cluster)
    zone = next(iter(made["Cluster"]["SubnetMapping"]))
    hsm = call("CreateHsm", AvailabilityZone=zone, **cluster)["Hsm"]["HsmId"]
    call("DescribeClusters", Filters={"clusterIds": [cluster["ClusterId"]]}, MaxResults=1)
    call("DescribeBackups", SortAscending=True)
    call("DeleteHsm", HsmId=hsm, **cluster)
    call("DescribeClusters")
    call("DeleteCluster", **cluster)
    call("DescribeClusters", Filters={"states": ["DELETE_IN_PROGRESS", "DELETED"]})


# Operations whose success takes what this program cannot make: a cluster that is initialised, or material wrapped
# for an import.
ELSEWHERE = {
    "kms": {
        "CreateCustomKeyStore", "ConnectCustomKeyStore", "DisconnectCustomKeyStore", "UpdateCustomKeyStore",
        "DeleteCustomKeyStore", "ImportKeyMaterial",
    },
    "cloudhsmv2": {
        "InitializeCluster", "CopyBackupToRegion", "DeleteBackup", "RestoreBackup", "ModifyBackupAttributes",
        "PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy",
    },
}  # fmt: skip


def run(name):
    global cases
    cases = 0
    replies.clear()
    service = Service(name)
    before = len(deviations)
    operations = set(service.model.operation_names)
    {"kms": use_kms, "cloudhsmv2": use_cloudhsm}[name](service)
    for operation in operations - ELSEWHERE[name] - set(replies):
        deviation(operation, "no reply was held to the model")
    answered = len(replies)
    for operation in sorted(operations):
        try_operation(service, service.model.operation_model(operation))
    print(
        f"conformance of {name}: {len(operations)} operations, {cases} cases of their members, "
        f"{sum(replies.values())} replies of {answered} operations, {len(deviations) - before} deviations"
    )


for service in sys.argv[1:] or ["kms", "cloudhsmv2"]:
    run(service)
for told in deviations[:DEVIATIONS_SHOWN]:
    print(repr(told))
if not deviations:
    print("done")
