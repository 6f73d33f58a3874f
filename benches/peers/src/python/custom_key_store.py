"""Plays the custom-key-store story against a running strongroom-kms, as the user guides tell it.

usage: custom_key_store.py ENDPOINT STRONGROOM_KMS FOLDER

boto3 is the client of CloudHSM and KMS, openssl is the owner's certificate authority, and
`strongroom-kms mgmt` is the tool at the HSMs. FOLDER receives the authority's key and certificates.
Prints lines NAME=VALUE: cluster, key_store, key (its ARN), alias.
"""

import pathlib
import subprocess
import sys
import time

import boto3

WAIT_SECONDS_MAX = 60
# Of the private subnets that strongroom-kms has in every Region, those of the first two zones.
SUBNETS = ["subnet-0000000a", "subnet-0000000b"]
KMSUSER_PASSWORD = "kmsPswd2026"
OFFICER_PASSWORD = "coPswd2026"


def main(endpoint, program, folder):
    hsm = boto3.client("cloudhsmv2", endpoint_url=endpoint)
    kms = boto3.client("kms", endpoint_url=endpoint)
    owner = Owner(pathlib.Path(folder))
    tool = Tool(program, pathlib.Path(folder))

    cluster = hsm.create_cluster(HsmType="hsm1.medium", SubnetIds=SUBNETS)["Cluster"]
    cluster_id = cluster["ClusterId"]
    zones = sorted(cluster["SubnetMapping"])
    hsm.create_hsm(ClusterId=cluster_id, AvailabilityZone=zones[0])
    first = wait_for(lambda: described(hsm, cluster_id), lambda c: c["State"] == "UNINITIALIZED" and csr_of(c))
    hsm.initialize_cluster(
        ClusterId=cluster_id,
        SignedCert=owner.sign(csr_of(first)),
        TrustAnchor=owner.certificate.read_text(),
    )
    wait_for(lambda: described(hsm, cluster_id), lambda c: c["State"] == "INITIALIZED")

    # The first officer's password makes the cluster active.
    tool.configure(addresses(first)[:1])
    tool.run(
        "enable_e2e",
        "loginHSM PRECO admin password",
        f"changePswd PRECO admin {OFFICER_PASSWORD}",
        "y",
    )
    wait_for(lambda: described(hsm, cluster_id), lambda c: c["State"] == "ACTIVE")

    hsm.create_hsm(ClusterId=cluster_id, AvailabilityZone=zones[1])
    both = wait_for(lambda: described(hsm, cluster_id), lambda c: [h["State"] for h in c["Hsms"]] == ["ACTIVE"] * 2)
    tool.configure(addresses(both))
    tool.run(
        "enable_e2e",
        f"loginHSM CO admin {OFFICER_PASSWORD}",
        f"createUser CU kmsuser {KMSUSER_PASSWORD}",
        "y",
    )

    key_store = kms.create_custom_key_store(
        CustomKeyStoreName="strongroom",
        CloudHsmClusterId=cluster_id,
        TrustAnchorCertificate=owner.certificate.read_text(),
        KeyStorePassword=KMSUSER_PASSWORD,
    )["CustomKeyStoreId"]
    kms.connect_custom_key_store(CustomKeyStoreId=key_store)
    wait_for(lambda: key_store_of(kms, key_store), lambda s: s["ConnectionState"] == "CONNECTED")
    key = kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=key_store, Description="made in an HSM")
    arn = key["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/strongroom", TargetKeyId=arn)
    print(f"cluster={cluster_id}", f"key_store={key_store}", f"key={arn}", "alias=alias/strongroom", sep="\n")


class Owner:
    """The owner's certificate authority, made with openssl as the guide says."""

    def __init__(self, folder):
        self.folder = folder
        self.key = folder / "customerCA.key"
        self.certificate = folder / "customerCA.crt"
        openssl("genrsa", "-out", self.key, "2048")
        openssl(
            *("req", "-new", "-x509", "-days", "3652", "-key", self.key, "-out", self.certificate),
            *("-subj", "/C=CH/O=Strongroom tests/CN=customerCA"),
        )

    def sign(self, request):
        csr, signed = self.folder / "cluster.csr", self.folder / "cluster.crt"
        csr.write_text(request)
        openssl(
            *("x509", "-req", "-days", "3652", "-in", csr, "-CA", self.certificate, "-CAkey", self.key),
            *("-CAcreateserial", "-out", signed),
        )
        return signed.read_text()


class Tool:
    """The management tool at the HSMs, driven from a pipe."""

    def __init__(self, program, folder):
        # The tool looks for the owner's certificate beside its configuration.
        self.program, self.config = program, folder / "cloudhsm_mgmt_util.cfg"

    def configure(self, hsms):
        run([self.program, "configure", self.config, "-a", *hsms])

    def run(self, *lines):
        run([self.program, "mgmt", self.config], input="\n".join([*lines, "quit", ""]))


def described(hsm, cluster_id):
    return hsm.describe_clusters(Filters={"clusterIds": [cluster_id]})["Clusters"][0]


def csr_of(cluster):
    return cluster.get("Certificates", {}).get("ClusterCsr")


def addresses(cluster):
    return [h["EniIp"] for h in cluster["Hsms"]]


def key_store_of(kms, key_store):
    return kms.describe_custom_key_stores(CustomKeyStoreId=key_store)["CustomKeyStores"][0]


def wait_for(look, ready):
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while True:
        seen = look()
        if ready(seen):
            return seen
        if time.monotonic() > deadline:
            raise SystemExit(f"not ready after {WAIT_SECONDS_MAX} s: {seen}")
        time.sleep(0.2)


def openssl(*arguments):
    run(["openssl", *arguments])


def run(command, input=None):
    command = [str(word) for word in command]
    ended = subprocess.run(command, input=input, capture_output=True, text=True)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout


main(*sys.argv[1:])
