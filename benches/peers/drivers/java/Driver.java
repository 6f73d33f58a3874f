import com.amazonaws.encryptionsdk.AwsCrypto;
import com.amazonaws.encryptionsdk.CommitmentPolicy;
import com.amazonaws.encryptionsdk.CryptoAlgorithm;
import com.amazonaws.encryptionsdk.CryptoMaterialsManager;
import com.amazonaws.encryptionsdk.CryptoResult;
import com.amazonaws.encryptionsdk.caching.CachingCryptoMaterialsManager;
import com.amazonaws.encryptionsdk.caching.LocalCryptoMaterialsCache;
import com.amazonaws.encryptionsdk.jce.JceMasterKey;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import javax.crypto.spec.SecretKeySpec;
import software.amazon.awssdk.protocols.jsoncore.JsonNode;
import software.amazon.awssdk.protocols.jsoncore.JsonNodeParser;
import software.amazon.awssdk.protocols.jsoncore.JsonWriter;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.model.EncryptionAlgorithmSpec;
import software.amazon.cryptography.materialproviders.ICryptographicMaterialsManager;
import software.amazon.cryptography.materialproviders.IKeyring;
import software.amazon.cryptography.materialproviders.MaterialProviders;
import software.amazon.cryptography.materialproviders.model.*;
import software.amazon.cryptography.primitives.model.ECDHCurveSpec;

/**
 * Drives the Java implementation of the AWS Encryption SDK by the protocol of
 * benches/peers/src/driver.rs.
 *
 * <p>Keyrings are those of the material providers library. It has no caching materials manager, so that
 * caching goes through the master keys of older releases, for raw AES keys.
 */
public final class Driver {
  private static final int CACHE_ENTRIES_MAX = 10;
  private static final long CACHE_AGE_SECONDS = 600;
  private static final long CACHE_MESSAGES_MAX = 1000;

  /** This implementation has no such thing. */
  private static final class Unsupported extends RuntimeException {
    Unsupported(String what) {
      super(what);
    }
  }

  private final MaterialProviders providers =
      MaterialProviders.builder()
          .MaterialProvidersConfig(MaterialProvidersConfig.builder().build())
          .build();
  private final Map<String, CryptoMaterialsManager> cachingManagers = new HashMap<>();

  public static void main(String[] arguments) throws Exception {
    Driver driver = new Driver();
    JsonNodeParser parser = JsonNode.parser();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(System.out, true, "UTF-8");
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      out.println(driver.answer(parser.parse(line)));
    }
  }

  private String answer(JsonNode job) {
    try (JsonWriter writer = JsonWriter.create()) {
      writer.writeStartObject();
      try {
        carryOut(job, writer);
      } catch (Unsupported what) {
        writer.writeFieldName("unsupported").writeValue(what.getMessage());
      } catch (Exception error) { // whatever goes wrong is the answer
        writer.writeFieldName("error").writeValue(error.toString());
      }
      writer.writeEndObject();
      return new String(writer.getBytes(), StandardCharsets.UTF_8);
    }
  }

  private void carryOut(JsonNode job, JsonWriter writer) {
    switch (text(job, "do")) {
      case "encrypt":
        byte[] message = encrypt(sdk(job), source(job), bytes(job, "plaintext"), context(job));
        writer.writeFieldName("message").writeValue(ByteBuffer.wrap(message));
        break;
      case "decrypt":
        CryptoResult<byte[], ?> opened =
            decrypt(source(job), bytes(job, "message"), context(job));
        writer.writeFieldName("plaintext").writeValue(ByteBuffer.wrap(opened.getResult()));
        writer.writeFieldName("context").writeStartObject();
        opened
            .getEncryptionContext()
            .forEach((name, value) -> writer.writeFieldName(name).writeValue(value));
        writer.writeEndObject();
        break;
      case "measure":
        writer.writeFieldName("seconds").writeValue(measure(job));
        break;
      default:
        throw new Unsupported("job " + text(job, "do"));
    }
  }

  private double measure(JsonNode job) {
    AwsCrypto sdk = sdk(job);
    Object source = source(job);
    byte[] plaintext = new byte[number(job, "bytes")];
    byte[] message = encrypt(sdk, source, plaintext, context(job));
    Runnable work =
        text(job, "what").equals("encrypt")
            ? () -> encrypt(sdk, source, plaintext, context(job))
            : () -> decrypt(source, message, context(job));
    work.run();
    long started = System.nanoTime();
    for (int count = 0; count < number(job, "messages"); count++) {
      work.run();
    }
    return (System.nanoTime() - started) / (double) TimeUnit.SECONDS.toNanos(1);
  }

  private static byte[] encrypt(
      AwsCrypto sdk, Object source, byte[] plaintext, Map<String, String> context) {
    if (source instanceof IKeyring) {
      return sdk.encryptData((IKeyring) source, plaintext, context).getResult();
    }
    if (source instanceof ICryptographicMaterialsManager) {
      return sdk.encryptData((ICryptographicMaterialsManager) source, plaintext, context).getResult();
    }
    return sdk.encryptData((CryptoMaterialsManager) source, plaintext, context).getResult();
  }

  private static CryptoResult<byte[], ?> decrypt(
      Object source, byte[] message, Map<String, String> context) {
    AwsCrypto sdk = builder(message[0] == 2).build();
    if (source instanceof IKeyring) {
      return sdk.decryptData((IKeyring) source, message, context);
    }
    if (source instanceof ICryptographicMaterialsManager) {
      return sdk.decryptData((ICryptographicMaterialsManager) source, message, context);
    }
    return sdk.decryptData((CryptoMaterialsManager) source, message);
  }

  private static AwsCrypto.Builder builder(boolean commits) {
    return AwsCrypto.builder()
        .withCommitmentPolicy(
            commits
                ? CommitmentPolicy.RequireEncryptRequireDecrypt
                : CommitmentPolicy.ForbidEncryptAllowDecrypt);
  }

  private static AwsCrypto sdk(JsonNode job) {
    int id = number(job, "suite");
    CryptoAlgorithm suite =
        Arrays.stream(CryptoAlgorithm.values())
            .filter(known -> Short.toUnsignedInt(known.getValue()) == id)
            .findAny()
            .orElseThrow(() -> new Unsupported("suite " + id));
    return builder(suite.isCommitting())
        .withEncryptionAlgorithm(suite)
        .withEncryptionFrameSize(number(job, "frame_length"))
        .build();
  }

  /** The keyring of a job, or the manager over it. */
  private Object source(JsonNode job) {
    JsonNode said = job.field("keyring").get();
    boolean caching = job.field("caching").map(JsonNode::asBoolean).orElse(false);
    List<String> required = texts(job, "required");
    if (caching && !required.isEmpty()) {
      throw new Unsupported("caching with a required context");
    }
    if (caching) {
      return cachingManagers.computeIfAbsent(said.toString(), any -> cachingManager(said));
    }
    if (required.isEmpty()) {
      return keyring(said);
    }
    return providers.CreateRequiredEncryptionContextCMM(
        CreateRequiredEncryptionContextCMMInput.builder()
            .underlyingCMM(
                providers.CreateDefaultCryptographicMaterialsManager(
                    CreateDefaultCryptographicMaterialsManagerInput.builder()
                        .keyring(keyring(said))
                        .build()))
            .requiredEncryptionContextKeys(required)
            .build());
  }

  private static CryptoMaterialsManager cachingManager(JsonNode said) {
    if (!text(said, "kind").equals("raw-aes")) {
      throw new Unsupported("caching over keyrings");
    }
    return CachingCryptoMaterialsManager.newBuilder()
        .withMasterKeyProvider(
            JceMasterKey.getInstance(
                new SecretKeySpec(bytes(said, "key"), "AES"),
                text(said, "namespace"),
                text(said, "name"),
                "AES/GCM/NoPadding"))
        .withCache(new LocalCryptoMaterialsCache(CACHE_ENTRIES_MAX))
        .withMaxAge(CACHE_AGE_SECONDS, TimeUnit.SECONDS)
        .withMessageUseLimit(CACHE_MESSAGES_MAX)
        .build();
  }

  private IKeyring keyring(JsonNode said) {
    switch (text(said, "kind")) {
      case "raw-aes":
        return rawAes(said);
      case "raw-rsa":
        return rawRsa(said);
      case "raw-ecdh":
        return rawEcdh(said);
      case "kms":
        return kms(said);
      case "kms-discovery":
        return kmsDiscovery(said);
      case "kms-rsa":
        return kmsRsa(said);
      case "kms-ecdh":
        return kmsEcdh(said);
      case "multi":
        return multi(said);
      default:
        throw new Unsupported("keyring " + text(said, "kind"));
    }
  }

  private IKeyring rawAes(JsonNode said) {
    byte[] key = bytes(said, "key");
    return providers.CreateRawAesKeyring(
        CreateRawAesKeyringInput.builder()
            .keyNamespace(text(said, "namespace"))
            .keyName(text(said, "name"))
            .wrappingKey(ByteBuffer.wrap(key))
            .wrappingAlg(
                AesWrappingAlg.valueOf("ALG_AES" + 8 * key.length + "_GCM_IV12_TAG16"))
            .build());
  }

  private IKeyring rawRsa(JsonNode said) {
    String padding = text(said, "padding").toUpperCase(Locale.ROOT).replace('-', '_');
    return providers.CreateRawRsaKeyring(
        CreateRawRsaKeyringInput.builder()
            .keyNamespace(text(said, "namespace"))
            .keyName(text(said, "name"))
            .paddingScheme(
                PaddingScheme.valueOf(padding.equals("PKCS1") ? padding : padding + "_MGF1"))
            .publicKey(pem(said, "public"))
            .privateKey(pem(said, "private"))
            .build());
  }

  private IKeyring rawEcdh(JsonNode said) {
    RawEcdhStaticConfigurations.Builder scheme = RawEcdhStaticConfigurations.builder();
    switch (text(said, "schema")) {
      case "static":
        scheme.RawPrivateKeyToStaticPublicKey(
            RawPrivateKeyToStaticPublicKeyInput.builder()
                .senderStaticPrivateKey(pem(said, "private"))
                .recipientPublicKey(der(said, "public"))
                .build());
        break;
      case "ephemeral":
        scheme.EphemeralPrivateKeyToStaticPublicKey(
            EphemeralPrivateKeyToStaticPublicKeyInput.builder()
                .recipientPublicKey(der(said, "public"))
                .build());
        break;
      default:
        scheme.PublicKeyDiscovery(
            PublicKeyDiscoveryInput.builder()
                .recipientStaticPrivateKey(pem(said, "private"))
                .build());
    }
    return providers.CreateRawEcdhKeyring(
        CreateRawEcdhKeyringInput.builder()
            .KeyAgreementScheme(scheme.build())
            .curveSpec(curve(said))
            .build());
  }

  private IKeyring kms(JsonNode said) {
    if (isMultiRegionAware(said)) {
      return providers.CreateAwsKmsMrkKeyring(
          CreateAwsKmsMrkKeyringInput.builder()
              .kmsKeyId(text(said, "key"))
              .kmsClient(client(said))
              .build());
    }
    return providers.CreateAwsKmsKeyring(
        CreateAwsKmsKeyringInput.builder()
            .kmsKeyId(text(said, "key"))
            .kmsClient(client(said))
            .build());
  }

  private IKeyring kmsDiscovery(JsonNode said) {
    DiscoveryFilter filter =
        DiscoveryFilter.builder()
            .accountIds(texts(said, "accounts"))
            .partition(text(said, "partition"))
            .build();
    if (isMultiRegionAware(said)) {
      return providers.CreateAwsKmsMrkDiscoveryKeyring(
          CreateAwsKmsMrkDiscoveryKeyringInput.builder()
              .kmsClient(client(said))
              .region(text(said, "region"))
              .discoveryFilter(filter)
              .build());
    }
    return providers.CreateAwsKmsDiscoveryKeyring(
        CreateAwsKmsDiscoveryKeyringInput.builder()
            .kmsClient(client(said))
            .discoveryFilter(filter)
            .build());
  }

  private IKeyring kmsRsa(JsonNode said) {
    return providers.CreateAwsKmsRsaKeyring(
        CreateAwsKmsRsaKeyringInput.builder()
            .kmsKeyId(text(said, "key"))
            .encryptionAlgorithm(EncryptionAlgorithmSpec.fromValue(text(said, "algorithm")))
            .publicKey(pem(said, "public"))
            .kmsClient(client(said))
            .build());
  }

  private IKeyring kmsEcdh(JsonNode said) {
    KmsEcdhStaticConfigurations.Builder scheme = KmsEcdhStaticConfigurations.builder();
    if (text(said, "schema").equals("static")) {
      scheme.KmsPrivateKeyToStaticPublicKey(
          KmsPrivateKeyToStaticPublicKeyInput.builder()
              .senderKmsIdentifier(text(said, "key"))
              .recipientPublicKey(der(said, "public"))
              .build());
    } else {
      scheme.KmsPublicKeyDiscovery(
          KmsPublicKeyDiscoveryInput.builder().recipientKmsIdentifier(text(said, "key")).build());
    }
    return providers.CreateAwsKmsEcdhKeyring(
        CreateAwsKmsEcdhKeyringInput.builder()
            .KeyAgreementScheme(scheme.build())
            .curveSpec(curve(said))
            .kmsClient(client(said))
            .build());
  }

  private IKeyring multi(JsonNode said) {
    List<IKeyring> children = new ArrayList<>();
    said.field("children").get().asArray().forEach(child -> children.add(keyring(child)));
    return providers.CreateMultiKeyring(
        CreateMultiKeyringInput.builder()
            .generator(keyring(said.field("generator").get()))
            .childKeyrings(children)
            .build());
  }

  /** A client of the Region of the key. */
  private static KmsClient client(JsonNode said) {
    String region =
        said.field("region")
            .map(JsonNode::text)
            .orElseGet(() -> text(said, "key").split(":")[3]);
    return KmsClient.builder()
        .region(Region.of(region))
        .endpointOverride(URI.create(System.getenv("AWS_ENDPOINT_URL_KMS")))
        .build();
  }

  private static boolean isMultiRegionAware(JsonNode said) {
    return said.field("mrk").map(JsonNode::asBoolean).orElse(false);
  }

  private static ECDHCurveSpec curve(JsonNode said) {
    return ECDHCurveSpec.valueOf("ECC_NIST_" + text(said, "curve").replace("-", ""));
  }

  private static String text(JsonNode node, String field) {
    return node.field(field).get().text();
  }

  private static int number(JsonNode node, String field) {
    return Integer.parseInt(node.field(field).get().asNumber());
  }

  private static byte[] bytes(JsonNode node, String field) {
    return Base64.getDecoder().decode(text(node, field));
  }

  private static List<String> texts(JsonNode node, String field) {
    List<String> texts = new ArrayList<>();
    node.field(field).ifPresent(list -> list.asArray().forEach(item -> texts.add(item.text())));
    return texts;
  }

  private static Map<String, String> context(JsonNode job) {
    Map<String, String> context = new HashMap<>();
    job.field("context")
        .ifPresent(
            pairs -> pairs.asObject().forEach((name, value) -> context.put(name, value.text())));
    return context;
  }

  private static ByteBuffer pem(JsonNode node, String field) {
    return node.field(field)
        .map(text -> ByteBuffer.wrap(text.text().getBytes(StandardCharsets.UTF_8)))
        .orElse(null);
  }

  private static ByteBuffer der(JsonNode node, String field) {
    String body = text(node, field).replaceAll("-----[^-]+-----", "");
    return ByteBuffer.wrap(Base64.getMimeDecoder().decode(body));
  }
}
