// Drives the JavaScript implementation of the AWS Encryption SDK by the protocol of
// benches/peers/src/driver.rs. Needs the folder that holds @aws-crypto/client-node in NODE_PATH.
'use strict'

const crypto = require('crypto')
const readline = require('readline')
const esdk = require('@aws-crypto/client-node')

const CACHE_AGE_MILLISECONDS = 600_000
const CACHE_MESSAGES_MAX = 1000
const CACHE_ENTRIES_MAX = 10

/** This implementation has no such thing. */
class Unsupported extends Error {}

const KINDS = {
  'raw-aes': (said) => {
    // The SDK wants a key in memory of its own, not in a slice of a shared pool.
    const unencryptedMasterKey = new Uint8Array(Buffer.from(said.key, 'base64'))
    return new esdk.RawAesKeyringNode({
      keyNamespace: said.namespace,
      keyName: said.name,
      unencryptedMasterKey,
      wrappingSuite: esdk.RawAesWrappingSuiteIdentifier[
        `AES${8 * unencryptedMasterKey.length}_GCM_IV12_TAG16_NO_PADDING`
      ],
    })
  },
  'raw-rsa': (said) => {
    const oaep = said.padding.startsWith('oaep-')
    const { RSA_PKCS1_PADDING, RSA_PKCS1_OAEP_PADDING } = crypto.constants
    return new esdk.RawRsaKeyringNode({
      keyNamespace: said.namespace,
      keyName: said.name,
      rsaKey: { publicKey: said.public, privateKey: said.private },
      padding: oaep ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING,
      oaepHash: oaep ? said.padding.slice('oaep-'.length) : undefined,
    })
  },
  kms: (said) => {
    if (said.mrk) {
      return new esdk.AwsKmsMrkAwareSymmetricKeyringNode({ client: client(said), keyId: said.key })
    }
    return new esdk.KmsKeyringNode({ generatorKeyId: said.key, clientProvider: () => client(said) })
  },
  'kms-discovery': (said) => {
    const discoveryFilter = { accountIDs: said.accounts, partition: said.partition }
    if (said.mrk) {
      return new esdk.AwsKmsMrkAwareSymmetricDiscoveryKeyringNode({ client: client(said), discoveryFilter })
    }
    return new esdk.KmsKeyringNode({ discovery: true, discoveryFilter, clientProvider: () => client(said) })
  },
  multi: (said) =>
    new esdk.MultiKeyringNode({
      generator: keyring(said.generator),
      children: said.children.map(keyring),
    }),
}

function keyring(said) {
  if (!(said.kind in KINDS)) throw new Unsupported(`keyring ${said.kind}`)
  return KINDS[said.kind](said)
}

/** A client of the Region of the key, at the endpoint in AWS_ENDPOINT_URL_KMS. */
function client(said) {
  return new esdk.KMS({
    region: said.region || said.key.split(':')[3],
    endpoint: process.env.AWS_ENDPOINT_URL_KMS,
  })
}

const managers = new Map()

/** The keyring of a job, or the caching manager over it: one for each description. */
function materialsSource(job) {
  if (job.required) throw new Unsupported('required encryption context')
  if (!job.caching) return keyring(job.keyring)
  const name = JSON.stringify(job.keyring)
  if (!managers.has(name)) {
    managers.set(name, new esdk.NodeCachingMaterialsManager({
      backingMaterials: keyring(job.keyring),
      cache: esdk.getLocalCryptographicMaterialsCache(CACHE_ENTRIES_MAX),
      maxAge: CACHE_AGE_MILLISECONDS,
      maxMessagesEncrypted: CACHE_MESSAGES_MAX,
    }))
  }
  return managers.get(name)
}

const COMMITTING = [0x0478, 0x0578]

function sdk(commits) {
  return esdk.buildClient(
    commits
      ? esdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
      : esdk.CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
  )
}

async function encrypt(job) {
  if (job.frame_length === 0) throw new Unsupported('writing single blocks')
  const plaintext = Buffer.from(job.plaintext, 'base64')
  const { result } = await sdk(COMMITTING.includes(job.suite)).encrypt(materialsSource(job), plaintext, {
    suiteId: job.suite,
    frameLength: job.frame_length,
    encryptionContext: job.context,
    // With it, a cache knows how much it has given out a data key for.
    plaintextLength: plaintext.length,
  })
  return { message: result.toString('base64') }
}

async function decrypt(job) {
  if (job.keyring.padding === 'pkcs1' && !decryptsPkcs1(job.keyring)) {
    throw new Unsupported('RSA PKCS #1 v1.5 decryption (Node.js refuses it since CVE-2023-46809)')
  }
  const message = Buffer.from(job.message, 'base64')
  const { plaintext, messageHeader } = await sdk(message[0] === 2).decrypt(materialsSource(job), message)
  return { plaintext: plaintext.toString('base64'), context: { ...messageHeader.encryptionContext } }
}

async function measure(job) {
  const source = materialsSource(job)
  const commits = COMMITTING.includes(job.suite)
  const plaintext = crypto.randomBytes(job.bytes)
  const options = {
    suiteId: job.suite,
    frameLength: job.frame_length,
    encryptionContext: job.context,
    // With it, a cache knows how much it has given out a data key for.
    plaintextLength: job.bytes,
  }
  const seal = async () => (await sdk(commits).encrypt(source, plaintext, options)).result
  const message = await seal()
  const open = async () => (await sdk(commits).decrypt(source, message)).plaintext
  const work = { encrypt: seal, decrypt: open }[job.what]
  await work()
  const started = process.hrtime.bigint()
  for (let count = 0; count < job.messages; count++) await work()
  return { seconds: Number(process.hrtime.bigint() - started) / 1e9 }
}

function decryptsPkcs1({ public: publicKey, private: key }) {
  const padding = crypto.constants.RSA_PKCS1_PADDING
  try {
    crypto.privateDecrypt({ key, padding }, crypto.publicEncrypt({ key: publicKey, padding }, Buffer.from('x')))
    return true
  } catch {
    return false
  }
}

const JOBS = { encrypt, decrypt, measure }

async function answer(job) {
  try {
    return await JOBS[job.do](job)
  } catch (error) {
    if (error instanceof Unsupported) return { unsupported: error.message }
    return { error: `${error.name}: ${error.message}` }
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n')
  }
}

main()
