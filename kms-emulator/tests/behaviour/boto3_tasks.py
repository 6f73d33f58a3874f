"""Every operation of the foundation, through boto3. Prints `done` at the end."""

import boto3
from botocore.exceptions import ClientError

kms = boto3.client("kms")


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{code} expected")


identity = boto3.client("sts").get_caller_identity()
assert identity["Arn"].endswith(":root"), identity

created = kms.create_key(Description="boto3", Tags=[{"TagKey": "a", "TagValue": "1"}])
metadata = created["KeyMetadata"]
key, arn = metadata["KeyId"], metadata["Arn"]
assert metadata["KeyState"] == "Enabled" and metadata["Enabled"] is True, metadata
assert created["ResponseMetadata"]["RequestId"]
described = kms.describe_key(KeyId=arn)["KeyMetadata"]
assert described == metadata, (described, metadata)

kms.create_alias(AliasName="alias/boto3", TargetKeyId=key)
refused("AlreadyExistsException", kms.create_alias, AliasName="alias/boto3", TargetKeyId=key)
other = kms.create_key()["KeyMetadata"]["KeyId"]
kms.update_alias(AliasName="alias/boto3", TargetKeyId=other)
kms.update_alias(AliasName="alias/boto3", TargetKeyId=key)
aliases = [a for page in kms.get_paginator("list_aliases").paginate() for a in page["Aliases"]]
assert [a["TargetKeyId"] for a in aliases] == [key], aliases
keys = [k for page in kms.get_paginator("list_keys").paginate(Limit=1) for k in page["Keys"]]
assert {k["KeyId"] for k in keys} == {key, other}, keys

context = {"purpose": "tëst", "b": ""}
sealed = kms.encrypt(KeyId="alias/boto3", Plaintext=b"secret", EncryptionContext=context)
assert sealed["KeyId"] == arn
opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)
assert opened["Plaintext"] == b"secret" and opened["KeyId"] == arn
blob = sealed["CiphertextBlob"]
assert refused("InvalidCiphertextException", kms.decrypt, CiphertextBlob=blob) == ""
refused("IncorrectKeyException", kms.decrypt, CiphertextBlob=blob, KeyId=other)
moved = kms.re_encrypt(
    CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=other
)
assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"secret"

data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=context)
opened = kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"], EncryptionContext=context)
assert opened["Plaintext"] == data_key["Plaintext"] and len(data_key["Plaintext"]) == 32
without = kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=64)
assert len(kms.decrypt(CiphertextBlob=without["CiphertextBlob"])["Plaintext"]) == 64
assert len(kms.generate_random(NumberOfBytes=100)["Plaintext"]) == 100

kms.tag_resource(KeyId=key, Tags=[{"TagKey": "b", "TagValue": "2"}])
kms.untag_resource(KeyId=key, TagKeys=["a"])
assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "b", "TagValue": "2"}]

policy = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]
kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)
refused("MalformedPolicyDocumentException", kms.put_key_policy, KeyId=key, Policy="{}")

kms.disable_key(KeyId=key)
assert "is disabled" in refused("DisabledException", kms.encrypt, KeyId=key, Plaintext=b"x")
kms.enable_key(KeyId=key)
scheduled = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
assert scheduled["KeyState"] == "PendingDeletion" and scheduled["DeletionDate"].year >= 2020
refused("KMSInvalidStateException", kms.generate_data_key, KeyId=key, KeySpec="AES_256")
kms.cancel_key_deletion(KeyId=key)
assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
kms.delete_alias(AliasName="alias/boto3")
refused("NotFoundException", kms.describe_key, KeyId="alias/boto3")
kms.enable_key(KeyId=key)
kms.update_key_description(KeyId=key, Description="new")
assert kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] == "new"
assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]

# Rotation: what was encrypted before still decrypts, with the material that it names.
assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
status = kms.get_key_rotation_status(KeyId=key)
assert status["KeyRotationEnabled"] is True and status["RotationPeriodInDays"] == 180, status
materials = []
for _ in range(3):
    blob = kms.encrypt(KeyId=key, Plaintext=b"old")["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=blob)
    materials.append((blob, opened["KeyMaterialId"]))
    assert kms.rotate_key_on_demand(KeyId=key)["KeyId"] == arn
assert len({material for _, material in materials}) == 3, materials
for blob, material in materials:
    opened = kms.decrypt(CiphertextBlob=blob)
    assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"old", material)
rotations = kms.list_key_rotations(KeyId=key)["Rotations"]
assert [r["RotationType"] for r in rotations] == ["ON_DEMAND"] * 3, rotations
assert [r["KeyMaterialState"] for r in rotations] == ["NON_CURRENT"] * 2 + ["CURRENT"], rotations
pages = kms.get_paginator("list_key_rotations").paginate(
    KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL", PaginationConfig={"PageSize": 1}
)
everything = [r["KeyMaterialId"] for page in pages for r in page["Rotations"]]
assert everything[:3] == [material for _, material in materials] and len(everything) == 4
current = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
assert current == everything[3]
kms.disable_key_rotation(KeyId=key)
assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
mac_key = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
refused("UnsupportedOperationException", kms.enable_key_rotation, KeyId=mac_key)

# Grants, with a token, and by the paginators of botocore's model.
grantee = "arn:aws:iam::000000000000:user/alice"
granted = kms.create_grant(
    KeyId=key,
    GranteePrincipal=grantee,
    RetiringPrincipal=grantee,
    Operations=["Encrypt", "Decrypt"],
    Constraints={"EncryptionContextSubset": {"a": "b"}},
    Name="boto3",
)
listed = [g for page in kms.get_paginator("list_grants").paginate(KeyId=key) for g in page["Grants"]]
assert [g["GrantId"] for g in listed] == [granted["GrantId"]] and listed[0]["Name"] == "boto3", listed
retirable = kms.list_retirable_grants(RetiringPrincipal=grantee)["Grants"]
assert retirable == listed, retirable
kms.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=[granted["GrantToken"]])
refused("InvalidGrantTokenException", kms.encrypt, KeyId=key, Plaintext=b"x", GrantTokens=["none"])
kms.retire_grant(GrantToken=granted["GrantToken"])
assert kms.list_grants(KeyId=key)["Grants"] == []

# Multi-Region keys: one material in two Regions, one primary, shared rotation.
abroad = boto3.client("kms", region_name="eu-west-1")
created = kms.create_key(MultiRegion=True, Description="first")["KeyMetadata"]
mrk = created["KeyId"]
assert mrk.startswith("mrk-") and created["MultiRegion"] is True
assert created["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY", created
refused("NotFoundException", abroad.describe_key, KeyId=mrk)
refused("UnsupportedOperationException", kms.replicate_key, KeyId=key, ReplicaRegion="eu-west-1")
blob = kms.encrypt(KeyId=mrk, Plaintext=b"here", EncryptionContext=context)["CiphertextBlob"]
replicated = kms.replicate_key(
    KeyId=mrk, ReplicaRegion="eu-west-1", Description="second", Tags=[{"TagKey": "a", "TagValue": "1"}]
)
replica = replicated["ReplicaKeyMetadata"]
assert replica["KeyId"] == mrk and ":eu-west-1:" in replica["Arn"], replica
assert replica["MultiRegionConfiguration"]["MultiRegionKeyType"] == "REPLICA", replica
assert replica["Description"] == "second" and replicated["ReplicaTags"] == [{"TagKey": "a", "TagValue": "1"}]
assert replica["CurrentKeyMaterialId"] == created["CurrentKeyMaterialId"]
configuration = kms.describe_key(KeyId=mrk)["KeyMetadata"]["MultiRegionConfiguration"]
assert configuration["ReplicaKeys"] == [{"Arn": replica["Arn"], "Region": "eu-west-1"}], configuration
assert configuration == {
    **abroad.describe_key(KeyId=mrk)["KeyMetadata"]["MultiRegionConfiguration"], "MultiRegionKeyType": "PRIMARY"
}
refused("AlreadyExistsException", kms.replicate_key, KeyId=mrk, ReplicaRegion="eu-west-1")
refused("UnsupportedOperationException", abroad.replicate_key, KeyId=mrk, ReplicaRegion="eu-north-1")
opened = abroad.decrypt(CiphertextBlob=blob, EncryptionContext=context)
assert opened["Plaintext"] == b"here" and opened["KeyId"] == replica["Arn"], opened
refused("UnsupportedOperationException", abroad.rotate_key_on_demand, KeyId=mrk)
kms.rotate_key_on_demand(KeyId=mrk)
kms.enable_key_rotation(KeyId=mrk)
assert abroad.get_key_rotation_status(KeyId=mrk)["KeyRotationEnabled"] is True
newer = abroad.encrypt(KeyId=mrk, Plaintext=b"there")["CiphertextBlob"]
opened = kms.decrypt(CiphertextBlob=newer)
assert opened["Plaintext"] == b"there" and opened["KeyMaterialId"] != created["CurrentKeyMaterialId"]
assert abroad.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == b"here"
kms.disable_key(KeyId=mrk)
assert abroad.describe_key(KeyId=mrk)["KeyMetadata"]["KeyState"] == "Enabled"
kms.enable_key(KeyId=mrk)
waiting = kms.schedule_key_deletion(KeyId=mrk, PendingWindowInDays=7)
assert waiting["KeyState"] == "PendingReplicaDeletion" and "DeletionDate" not in waiting, waiting
kms.cancel_key_deletion(KeyId=mrk)
kms.enable_key(KeyId=mrk)
kms.update_primary_region(KeyId=mrk, PrimaryRegion="eu-west-1")
for client, kind in ((kms, "REPLICA"), (abroad, "PRIMARY")):
    shown = client.describe_key(KeyId=mrk)["KeyMetadata"]["MultiRegionConfiguration"]
    assert shown["MultiRegionKeyType"] == kind and shown["PrimaryKey"]["Region"] == "eu-west-1", shown
refused("UnsupportedOperationException", kms.update_primary_region, KeyId=mrk, PrimaryRegion="us-east-1")
signer = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY", MultiRegion=True)["KeyMetadata"]["KeyId"]
kms.replicate_key(KeyId=signer, ReplicaRegion="eu-west-1")
signature = kms.sign(KeyId=signer, Message=b"m", SigningAlgorithm="ECDSA_SHA_256")["Signature"]
verified = abroad.verify(KeyId=signer, Message=b"m", Signature=signature, SigningAlgorithm="ECDSA_SHA_256")
assert verified["SignatureValid"] is True
# An AWS managed key is made when its alias is first described; only its service uses it, nobody changes it.
refused("NotFoundException", kms.encrypt, KeyId="alias/aws/s3", Plaintext=b"x")
refused("NotFoundException", kms.describe_key, KeyId="alias/aws/no-such-service")
managed = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
assert managed["KeyManager"] == "AWS" and "S3 objects" in managed["Description"], managed
assert kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"] == managed["Arn"]
named = {alias["AliasName"]: alias for alias in kms.list_aliases()["Aliases"]}
assert named["alias/aws/s3"]["TargetKeyId"] == managed["KeyId"], named
status = kms.get_key_rotation_status(KeyId=managed["KeyId"])
assert status["KeyRotationEnabled"] and status["RotationPeriodInDays"] == 365, status
assert "kms:ViaService" in kms.get_key_policy(KeyId=managed["KeyId"])["Policy"]
for call, arguments in (
    (kms.encrypt, dict(Plaintext=b"x")),
    (kms.disable_key, {}),
    (kms.disable_key_rotation, {}),
    (kms.rotate_key_on_demand, {}),
    (kms.schedule_key_deletion, {}),
    (kms.put_key_policy, dict(Policy="{}")),
    (kms.tag_resource, dict(Tags=[{"TagKey": "a", "TagValue": "b"}])),
):
    refused("AccessDeniedException", call, KeyId=managed["KeyId"], **arguments)
print("done")
