//! CloudHSM: the life of a cluster, and what refuses to be one.

use serde_json::{Value, json};
use strongroom_kms::story::CustomerCa;

use crate::harness::Server;
use crate::story::code;

const ZONE: &str = "us-east-1a";

struct Clusters {
    server: Server,
}

impl Clusters {
    async fn new() -> Self {
        Self { server: Server::start().await }
    }

    async fn call(
        &self,
        operation: &str,
        input: Value,
    ) -> Result<Value, strongroom_kms::CallError> {
        self.server.emulator.call(&format!("BaldrApiService.{operation}"), &input).await
    }

    async fn create(&self, subnets: &[&str]) -> String {
        let input = json!({ "HsmType": "hsm1.medium", "SubnetIds": subnets });
        let reply = self.call("CreateCluster", input).await.unwrap();
        assert_eq!(reply["Cluster"]["State"], "CREATE_IN_PROGRESS");
        reply["Cluster"]["ClusterId"].as_str().unwrap().to_owned()
    }

    async fn describe(&self, id: &str) -> Value {
        let input = json!({ "Filters": { "clusterIds": [id] } });
        self.call("DescribeClusters", input).await.unwrap()["Clusters"][0].clone()
    }

    async fn create_hsm(&self, id: &str) -> Result<Value, strongroom_kms::CallError> {
        self.call("CreateHsm", json!({ "ClusterId": id, "AvailabilityZone": ZONE })).await
    }

    async fn ca(&self) -> CustomerCa {
        CustomerCa::generate(self.server.emulator.clock().now()).await.unwrap()
    }
}

#[tokio::test]
async fn certificates_come_into_being_one_by_one() {
    let clusters = Clusters::new().await;
    let id = clusters.create(&["subnet-0000000a", "subnet-0000000b"]).await;
    let cluster = clusters.describe(&id).await;
    assert_eq!(cluster["State"], "UNINITIALIZED");
    assert_eq!(cluster["Certificates"], json!({}));
    assert_eq!(cluster["SubnetMapping"]["us-east-1b"], "subnet-0000000b");
    clusters.create_hsm(&id).await.unwrap();
    let cluster = clusters.describe(&id).await;
    let certificates = cluster["Certificates"].as_object().unwrap();
    let names: Vec<_> = certificates.keys().map(String::as_str).collect();
    let four = [
        "ClusterCsr",
        "HsmCertificate",
        "AwsHardwareCertificate",
        "ManufacturerHardwareCertificate",
    ];
    assert_eq!(names, four);
    assert_eq!(cluster["Hsms"][0]["State"], "ACTIVE");
    let ca = clusters.ca().await;
    let csr = certificates["ClusterCsr"].as_str().unwrap();
    let signed = ca.sign(csr, clusters.server.emulator.clock().now()).unwrap();
    let input = json!({ "ClusterId": id, "SignedCert": signed, "TrustAnchor": ca.certificate() });
    let reply = clusters.call("InitializeCluster", input.clone()).await.unwrap();
    assert_eq!(reply["State"], "INITIALIZE_IN_PROGRESS");
    let cluster = clusters.describe(&id).await;
    assert_eq!(cluster["State"], "INITIALIZED");
    assert_eq!(cluster["Certificates"]["ClusterCertificate"], signed);
    let again = clusters.call("InitializeCluster", input).await;
    assert_eq!(code(again), "CloudHsmInvalidRequestException");
}

#[tokio::test]
async fn certificates_that_do_not_fit_are_refused() {
    let clusters = Clusters::new().await;
    let id = clusters.create(&["subnet-0000000a"]).await;
    let (ca, other) = (clusters.ca().await, clusters.ca().await);
    let now = clusters.server.emulator.clock().now();
    let refused = async |signed: &str, anchor: &str| {
        let input = json!({ "ClusterId": id, "SignedCert": signed, "TrustAnchor": anchor });
        let error = clusters.call("InitializeCluster", input).await.unwrap_err();
        assert_eq!(error.code, "CloudHsmInvalidRequestException");
        error.message
    };
    let early = refused(ca.certificate(), ca.certificate()).await;
    assert!(early.contains("has no HSM yet"), "{early}");
    clusters.create_hsm(&id).await.unwrap();
    let csr = clusters.describe(&id).await["Certificates"]["ClusterCsr"].clone();
    let csr = csr.as_str().unwrap();
    let signed = ca.sign(csr, now).unwrap();
    for (signed, anchor, reason) in [
        (signed.as_str(), other.certificate(), "did not sign"),
        (ca.certificate(), ca.certificate(), "not that of the certificate signing request"),
        ("nonsense", ca.certificate(), "SignedCert is refused"),
        (signed.as_str(), "nonsense", "TrustAnchor is refused"),
        (signed.as_str(), signed.as_str(), "TrustAnchor is refused"),
        (&ca.sign(csr, now.plus_days(30)).unwrap(), ca.certificate(), "expired or not yet valid"),
        (&ca.sign(csr, now.plus_seconds(-4_000 * 86_400)).unwrap(), ca.certificate(), "expired"),
    ] {
        let message = refused(signed, anchor).await;
        assert!(message.contains(reason), "{message}: {reason}");
    }
    assert_eq!(clusters.describe(&id).await["State"], "UNINITIALIZED");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let clusters = Clusters::new().await;
    let create = async |input| code(clusters.call("CreateCluster", input).await);
    let subnet = ["subnet-0000000a"];
    assert_eq!(
        create(json!({ "HsmType": "hsm9.large", "SubnetIds": subnet })).await,
        "CloudHsmInvalidRequestException"
    );
    assert_eq!(
        create(json!({ "HsmType": "hsm1.medium", "SubnetIds": ["subnet-ffffffff"] })).await,
        "CloudHsmResourceNotFoundException"
    );
    assert_eq!(create(json!({ "SubnetIds": subnet })).await, "ValidationException");
    let id = clusters.create(&subnet).await;
    assert_eq!(
        code(clusters.create_hsm("cluster-aaaaaaaaaaa").await),
        "CloudHsmResourceNotFoundException"
    );
    let wrong = json!({ "ClusterId": id, "AvailabilityZone": "us-east-1c" });
    assert_eq!(code(clusters.call("CreateHsm", wrong).await), "CloudHsmInvalidRequestException");
    clusters.create_hsm(&id).await.unwrap();
    assert_eq!(code(clusters.create_hsm(&id).await), "CloudHsmInvalidRequestException");
    let delete = json!({ "ClusterId": id });
    assert_eq!(
        code(clusters.call("DeleteHsm", delete.clone()).await),
        "CloudHsmInvalidRequestException"
    );
    assert_eq!(
        code(clusters.call("DeleteCluster", delete).await),
        "CloudHsmInvalidRequestException"
    );
}

#[tokio::test]
async fn clusters_are_listed_in_pages_and_by_filters() {
    let clusters = Clusters::new().await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(clusters.create(&["subnet-0000000a"]).await);
    }
    let fifth = json!({ "HsmType": "hsm1.medium", "SubnetIds": ["subnet-0000000a"] });
    let refused = clusters.call("CreateCluster", fifth).await;
    assert_eq!(code(refused), "CloudHsmResourceLimitExceededException");
    made.sort();
    let (mut seen, mut token) = (Vec::new(), Value::Null);
    loop {
        let page = json!({ "MaxResults": 3, "NextToken": token });
        let page = clusters.call("DescribeClusters", page).await.unwrap();
        let ids = page["Clusters"].as_array().unwrap();
        seen.extend(ids.iter().map(|c| c["ClusterId"].as_str().unwrap().to_owned()));
        token = page["NextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(seen, made);
    let active = json!({ "Filters": { "states": ["ACTIVE"] } });
    let reply = clusters.call("DescribeClusters", active).await.unwrap();
    assert_eq!(reply["Clusters"], json!([]));
    let unknown = json!({ "Filters": { "colour": ["red"] } });
    let refused = clusters.call("DescribeClusters", unknown).await;
    assert_eq!(code(refused), "CloudHsmInvalidRequestException");
    let gone = clusters.call("DeleteCluster", json!({ "ClusterId": made[0] })).await.unwrap();
    assert_eq!(gone["Cluster"]["State"], "DELETE_IN_PROGRESS");
    assert!(clusters.describe(&made[0]).await.is_null());
}
