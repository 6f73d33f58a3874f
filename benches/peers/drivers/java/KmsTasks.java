import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.SignatureException;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.crypto.Cipher;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.protocols.jsoncore.JsonWriter;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.model.*;

/**
 * Does the task list of benches/peers/src/kms_client.rs with the AWS SDK for Java 2. What the KMS signs is
 * verified by the Java platform's own providers.
 */
public final class KmsTasks {
  private static final String REPLICA_REGION = "eu-west-1";
  private static final SdkBytes MESSAGE = SdkBytes.fromUtf8String("a message");
  private static final Map<String, String> ABOUT = Map.of("about", "tasks", "by", "Java");

  private interface Task {
    void run() throws Exception;
  }

  private final KmsClient kms = own(System.getenv("AWS_DEFAULT_REGION"));
  private String key;
  private SdkBytes before;

  private static KmsClient client(String region, String id, String secret) {
    return KmsClient.builder()
        .region(Region.of(region))
        .endpointOverride(URI.create(System.getenv("AWS_ENDPOINT_URL")))
        .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create(id, secret)))
        .overrideConfiguration(c -> c.retryPolicy(r -> r.numRetries(0)))
        .build();
  }

  private static KmsClient own(String region) {
    return client(region, System.getenv("AWS_ACCESS_KEY_ID"), System.getenv("AWS_SECRET_ACCESS_KEY"));
  }

  private SdkBytes encrypted(String key) {
    return kms.encrypt(r -> r.keyId(key).plaintext(MESSAGE).encryptionContext(ABOUT)).ciphertextBlob();
  }

  private static void opens(KmsClient with, SdkBytes blob, Map<String, String> about) {
    SdkBytes opened = with.decrypt(r -> r.ciphertextBlob(blob).encryptionContext(about)).plaintext();
    check(opened.equals(MESSAGE), "another plaintext");
  }

  private static void refused(String code, Task task) throws Exception {
    try {
      task.run();
    } catch (KmsException error) {
      String found = error.awsErrorDetails().errorCode();
      check(found.equals(code), code + " expected, not " + found);
      return;
    }
    throw new AssertionError(code + " expected");
  }

  private static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new AssertionError(otherwise);
    }
  }

  private void create() {
    Tag tag = Tag.builder().tagKey("by").tagValue("Java").build();
    key = kms.createKey(r -> r.description("tasks").tags(tag)).keyMetadata().keyId();
    String alias = "alias/java-tasks";
    kms.createAlias(r -> r.aliasName(alias).targetKeyId(key));
    KeyMetadata described = kms.describeKey(r -> r.keyId(alias)).keyMetadata();
    check(described.keyId().equals(key) && described.keyState() == KeyState.ENABLED, described.toString());
  }

  private void encrypt() throws Exception {
    before = encrypted(key);
    opens(kms, before, ABOUT);
    refused("InvalidCiphertextException", () -> opens(kms, before, Map.of()));
  }

  private void rotate() {
    kms.rotateKeyOnDemand(r -> r.keyId(key));
    List<RotationsListEntry> rotations = kms.listKeyRotations(r -> r.keyId(key)).rotations();
    check(rotations.size() == 1 && rotations.get(0).rotationType() == RotationType.ON_DEMAND, rotations.toString());
    opens(kms, encrypted(key), ABOUT);
  }

  private void decryptOld() {
    opens(kms, before, ABOUT);
  }

  private void sign() throws Exception {
    signWith("ECC_NIST_P256", "ECDSA_SHA_256", "EC", "SHA256withECDSA", null);
    PSSParameterSpec pss = new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1);
    signWith("RSA_2048", "RSASSA_PSS_SHA_256", "RSA", "RSASSA-PSS", pss);
    signWith("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "Ed25519", "Ed25519", null);
  }

  private void signWith(String spec, String algorithm, String family, String scheme, PSSParameterSpec pss)
      throws Exception {
    String signer = kms.createKey(r -> r.keySpec(spec).keyUsage("SIGN_VERIFY")).keyMetadata().keyId();
    byte[] signature =
        kms.sign(r -> r.keyId(signer).message(MESSAGE).signingAlgorithm(algorithm)).signature().asByteArray();
    byte[] der = kms.getPublicKey(r -> r.keyId(signer)).publicKey().asByteArray();
    PublicKey known = KeyFactory.getInstance(family).generatePublic(new X509EncodedKeySpec(der));
    byte[] altered = signature.clone();
    altered[altered.length - 1] ^= 1;
    check(verifies(known, scheme, pss, signature), algorithm + " does not verify");
    check(!verifies(known, scheme, pss, altered), algorithm + " verifies though it was altered");
  }

  private static boolean verifies(PublicKey known, String scheme, PSSParameterSpec pss, byte[] signature)
      throws Exception {
    Signature verifier = Signature.getInstance(scheme);
    if (pss != null) {
      verifier.setParameter(pss);
    }
    verifier.initVerify(known);
    verifier.update(MESSAGE.asByteArray());
    try {
      return verifier.verify(signature);
    } catch (SignatureException malformed) {
      return false;
    }
  }

  private void importMaterial() throws Exception {
    String imported = kms.createKey(r -> r.origin(OriginType.EXTERNAL)).keyMetadata().keyId();
    GetParametersForImportResponse parameters =
        kms.getParametersForImport(
            r -> r.keyId(imported).wrappingAlgorithm(AlgorithmSpec.RSAES_OAEP_SHA_256).wrappingKeySpec("RSA_2048"));
    X509EncodedKeySpec der = new X509EncodedKeySpec(parameters.publicKey().asByteArray());
    Cipher cipher = Cipher.getInstance("RSA/ECB/OAEPPadding");
    cipher.init(
        Cipher.ENCRYPT_MODE,
        KeyFactory.getInstance("RSA").generatePublic(der),
        new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT));
    byte[] material = new byte[32];
    new SecureRandom().nextBytes(material);
    SdkBytes wrapped = SdkBytes.fromByteArray(cipher.doFinal(material));
    kms.importKeyMaterial(
        r ->
            r.keyId(imported)
                .importToken(parameters.importToken())
                .encryptedKeyMaterial(wrapped)
                .expirationModel(ExpirationModelType.KEY_MATERIAL_DOES_NOT_EXPIRE));
    opens(kms, encrypted(imported), ABOUT);
  }

  private void grant() throws Exception {
    KmsClient second =
        client(
            System.getenv("AWS_DEFAULT_REGION"),
            System.getenv("SECOND_ACCESS_KEY_ID"),
            System.getenv("SECOND_SECRET_ACCESS_KEY"));
    SdkBytes blob = encrypted(key);
    refused("AccessDeniedException", () -> opens(second, blob, ABOUT));
    String grant =
        kms.createGrant(
                r ->
                    r.keyId(key)
                        .granteePrincipal(System.getenv("SECOND_ARN"))
                        .operations(GrantOperation.DECRYPT)
                        .constraints(c -> c.encryptionContextSubset(Map.of("about", "tasks"))))
            .grantId();
    opens(second, blob, ABOUT);
    refused("AccessDeniedException", () -> opens(second, blob, Map.of("by", "Java")));
    kms.revokeGrant(r -> r.keyId(key).grantId(grant));
    refused("AccessDeniedException", () -> opens(second, blob, ABOUT));
  }

  private void replicate() throws Exception {
    String primary = kms.createKey(r -> r.multiRegion(true)).keyMetadata().keyId();
    SdkBytes blob = encrypted(primary);
    KmsClient there = own(REPLICA_REGION);
    refused("AccessDeniedException", () -> opens(there, blob, ABOUT));
    kms.replicateKey(r -> r.keyId(primary).replicaRegion(REPLICA_REGION));
    opens(there, blob, ABOUT);
  }

  public static void main(String[] arguments) {
    KmsTasks tasks = new KmsTasks();
    Map<String, Task> list = new LinkedHashMap<>();
    list.put("create", tasks::create);
    list.put("encrypt", tasks::encrypt);
    list.put("rotate", tasks::rotate);
    list.put("decrypt-old", tasks::decryptOld);
    list.put("sign", tasks::sign);
    list.put("import", tasks::importMaterial);
    list.put("grant", tasks::grant);
    list.put("replicate", tasks::replicate);
    list.forEach(
        (name, task) -> {
          JsonWriter line = JsonWriter.create();
          line.writeStartObject().writeFieldName("task").writeValue(name);
          try {
            task.run();
          } catch (Throwable error) {
            line.writeFieldName("error").writeValue(error.toString());
          }
          System.out.println(new String(line.writeEndObject().getBytes(), StandardCharsets.UTF_8));
        });
  }
}
