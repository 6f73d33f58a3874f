#!/bin/sh
# From an empty server to an encrypted archive whose master key was made in an HSM and never leaves it: a CloudHSM
# cluster, a custom key store, a KMS key, an archive and its restoration.
#
#   strongroom-kms serve --data-dir kms &          # and paste the `export` lines that it prints
#   examples/walkthrough.sh TREE FOLDER
#
# TREE is archived to FOLDER/store and restored to FOLDER/restored; FOLDER must be new. Needs on the PATH: openssl, aws,
# strongroom-kms and strongroom. The passwords below are examples; choose your own.
set -eu

tree=$(cd "$1" && pwd)
mkdir "$2"
cd "$2"
export AWS_PAGER=
# The archiver remembers its locations there.
export XDG_CONFIG_HOME="$PWD/config"

officer_password=coPswd2026
kmsuser_password=kmsPswd2026

say() {
    printf '\n## %s\n' "$1"
}

# Asks a question until its answer is the expected one.
wait_for() {
    expected=$1
    shift
    tries=0
    while [ "$("$@")" != "$expected" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 60 ]; then
            echo "$*: not $expected, but $("$@")" >&2
            exit 1
        fi
        sleep 1
    done
}

clusters() {
    aws cloudhsmv2 describe-clusters --filters "clusterIds=$cluster" --query "$1" --output text
}

say "A cluster over two private subnets, and its first HSM"
cluster=$(aws cloudhsmv2 create-cluster --hsm-type hsm1.medium \
    --subnet-ids subnet-0000000a subnet-0000000b --query Cluster.ClusterId --output text)
first_zone=$(clusters 'sort(keys(Clusters[0].SubnetMapping))[0]')
second_zone=$(clusters 'sort(keys(Clusters[0].SubnetMapping))[1]')
aws cloudhsmv2 create-hsm --cluster-id "$cluster" --availability-zone "$first_zone" > /dev/null
wait_for UNINITIALIZED clusters 'Clusters[0].State'
address=$(clusters 'Clusters[0].Hsms[0].EniIp')
echo "$cluster with an HSM at $address"

say "The owner's certificate authority signs the cluster's request"
clusters 'Clusters[0].Certificates.ClusterCsr' > cluster.csr
openssl req -new -x509 -days 3652 -newkey rsa:2048 -nodes -subj /CN=customerCA \
    -keyout customerCA.key -out customerCA.crt 2> /dev/null
openssl x509 -req -days 3652 -in cluster.csr -CA customerCA.crt -CAkey customerCA.key -CAcreateserial \
    -out cluster.crt 2> /dev/null
aws cloudhsmv2 initialize-cluster --cluster-id "$cluster" \
    --signed-cert file://cluster.crt --trust-anchor file://customerCA.crt
wait_for INITIALIZED clusters 'Clusters[0].State'

say "The officer's first password makes the cluster active"
# customerCA.crt lies beside the tool's configuration.
strongroom-kms configure ./mgmt.cfg -a "$address"
strongroom-kms mgmt ./mgmt.cfg << EOF
enable_e2e
loginHSM PRECO admin password
changePswd PRECO admin $officer_password
y
quit
EOF
wait_for ACTIVE clusters 'Clusters[0].State'

say "A second HSM in the other zone, cloned from a backup of the first"
aws cloudhsmv2 create-hsm --cluster-id "$cluster" --availability-zone "$second_zone" > /dev/null
wait_for "ACTIVE	ACTIVE" clusters 'Clusters[0].Hsms[].State'

say "kmsuser, on both: users are not copied by themselves"
# The tool asks the first HSM for the others.
strongroom-kms configure ./mgmt.cfg -a "$address"
strongroom-kms mgmt ./mgmt.cfg << EOF
enable_e2e
loginHSM CO admin $officer_password
createUser CU kmsuser $kmsuser_password
y
listUsers
quit
EOF

say "The same users in the newer command line"
strongroom-kms hsm-cli ./mgmt.cfg interactive << EOF
login --username admin --role admin --password $officer_password
user list
quit
EOF

say "A custom key store, and a key in it"
store=$(aws kms create-custom-key-store --custom-key-store-name backups --cloud-hsm-cluster-id "$cluster" \
    --trust-anchor-certificate file://customerCA.crt --key-store-password "$kmsuser_password" \
    --query CustomKeyStoreId --output text)
stores() {
    aws kms describe-custom-key-stores --custom-key-store-id "$store" \
        --query 'CustomKeyStores[0].ConnectionState' --output text
}
aws kms connect-custom-key-store --custom-key-store-id "$store"
wait_for CONNECTED stores
key=$(aws kms create-key --origin AWS_CLOUDHSM --custom-key-store-id "$store" \
    --query KeyMetadata.Arn --output text)
aws kms create-alias --alias-name alias/backups --target-key-id "$key"
echo "$key, named alias/backups"

say "An archive under that key"
mkdir store
strongroom location create walkthrough "file://$PWD/store" --key "$key" --kms-endpoint "$AWS_ENDPOINT_URL"
strongroom archive "$tree" --location walkthrough
strongroom restore latest restored --location walkthrough

say "What was restored is what was archived"
restored=restored
if [ -d "restored$tree" ]; then restored=restored$tree; fi
diff -r "$tree" "$restored"
echo "equal"
