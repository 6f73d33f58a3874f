// Does the task list of benches/peers/src/kms_client.rs with the AWS SDK for JavaScript v3. Needs the folder
// that holds @aws-sdk/client-kms in NODE_PATH; what the KMS signs is verified by Node's own crypto.
'use strict'

const assert = require('assert')
const crypto = require('crypto')
const sdk = require('@aws-sdk/client-kms')

const { env } = process
const REPLICA_REGION = 'eu-west-1'
const MESSAGE = Buffer.from('a message')
const ABOUT = { about: 'tasks', by: 'JavaScript' }

/** A function that sends one operation. */
function client(region, accessKeyId, secretAccessKey) {
  const kms = new sdk.KMSClient({
    region,
    endpoint: env.AWS_ENDPOINT_URL,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  })
  return (operation, members) => kms.send(new sdk[`${operation}Command`](members))
}

const own = (region) => client(region, env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY)
const kms = own(env.AWS_DEFAULT_REGION)
let key
let before

async function encrypted(KeyId) {
  const members = { KeyId, Plaintext: MESSAGE, EncryptionContext: ABOUT }
  return (await kms('Encrypt', members)).CiphertextBlob
}

async function opens(call, CiphertextBlob, EncryptionContext = ABOUT) {
  const reply = await call('Decrypt', { CiphertextBlob, EncryptionContext })
  assert.deepStrictEqual(Buffer.from(reply.Plaintext), MESSAGE)
}

const refused = (name, promise) => assert.rejects(promise, { name })

const SIGNATURES = [
  ['ECC_NIST_P256', 'ECDSA_SHA_256', 'sha256', {}],
  ['RSA_2048', 'RSASSA_PSS_SHA_256', 'sha256', {
    padding: crypto.constants.RSA_PKCS1_PSS_PADDING,
    saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST,
  }],
  ['ECC_NIST_EDWARDS25519', 'ED25519_SHA_512', null, {}],
]

const TASKS = {
  async create() {
    const Tags = [{ TagKey: 'by', TagValue: 'JavaScript' }]
    const made = await kms('CreateKey', { Description: 'tasks', Tags })
    key = made.KeyMetadata.KeyId
    const AliasName = 'alias/javascript-tasks'
    await kms('CreateAlias', { AliasName, TargetKeyId: key })
    const { KeyMetadata } = await kms('DescribeKey', { KeyId: AliasName })
    assert.strictEqual(KeyMetadata.KeyId, key)
    assert.strictEqual(KeyMetadata.KeyState, 'Enabled')
    assert(KeyMetadata.CreationDate instanceof Date)
  },
  async encrypt() {
    before = await encrypted(key)
    await opens(kms, before)
    await refused('InvalidCiphertextException', opens(kms, before, {}))
  },
  async rotate() {
    await kms('RotateKeyOnDemand', { KeyId: key })
    const { Rotations } = await kms('ListKeyRotations', { KeyId: key })
    assert.deepStrictEqual(Rotations.map((each) => each.RotationType), ['ON_DEMAND'])
    await opens(kms, await encrypted(key))
  },
  'decrypt-old': () => opens(kms, before),
  async sign() {
    for (const [KeySpec, SigningAlgorithm, hash, how] of SIGNATURES) {
      const made = await kms('CreateKey', { KeySpec, KeyUsage: 'SIGN_VERIFY' })
      const { KeyId } = made.KeyMetadata
      const signed = await kms('Sign', { KeyId, Message: MESSAGE, SigningAlgorithm })
      const { PublicKey } = await kms('GetPublicKey', { KeyId })
      const pem = { key: Buffer.from(PublicKey), format: 'der', type: 'spki' }
      const verify = (signature) =>
        crypto.verify(hash, MESSAGE, { key: crypto.createPublicKey(pem), ...how }, signature)
      const altered = Buffer.from(signed.Signature)
      altered[0] ^= 1
      assert(verify(signed.Signature) && !verify(altered), SigningAlgorithm)
    }
  },
  async import() {
    const made = await kms('CreateKey', { Origin: 'EXTERNAL' })
    const { KeyId } = made.KeyMetadata
    const WrappingAlgorithm = 'RSAES_OAEP_SHA_256'
    const parameters = await kms('GetParametersForImport', {
      KeyId, WrappingAlgorithm, WrappingKeySpec: 'RSA_2048',
    })
    const wrapping = crypto.createPublicKey({
      key: Buffer.from(parameters.PublicKey), format: 'der', type: 'spki',
    })
    const EncryptedKeyMaterial = crypto.publicEncrypt({
      key: wrapping, padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256',
    }, crypto.randomBytes(32))
    const { ImportToken } = parameters
    const ExpirationModel = 'KEY_MATERIAL_DOES_NOT_EXPIRE'
    await kms('ImportKeyMaterial', { KeyId, ImportToken, EncryptedKeyMaterial, ExpirationModel })
    await opens(kms, await encrypted(KeyId))
  },
  async grant() {
    const second = client(env.AWS_DEFAULT_REGION, env.SECOND_ACCESS_KEY_ID, env.SECOND_SECRET_ACCESS_KEY)
    const blob = await encrypted(key)
    await refused('AccessDeniedException', opens(second, blob))
    const { GrantId } = await kms('CreateGrant', {
      KeyId: key,
      GranteePrincipal: env.SECOND_ARN,
      Operations: ['Decrypt'],
      Constraints: { EncryptionContextSubset: { about: 'tasks' } },
    })
    await opens(second, blob)
    await refused('AccessDeniedException', opens(second, blob, { by: 'JavaScript' }))
    await kms('RevokeGrant', { KeyId: key, GrantId })
    await refused('AccessDeniedException', opens(second, blob))
  },
  async replicate() {
    const made = await kms('CreateKey', { MultiRegion: true })
    const { KeyId } = made.KeyMetadata
    const there = own(REPLICA_REGION)
    const blob = await encrypted(KeyId)
    await refused('AccessDeniedException', opens(there, blob))
    await kms('ReplicateKey', { KeyId, ReplicaRegion: REPLICA_REGION })
    await opens(there, blob)
  },
}

async function main() {
  for (const [task, run] of Object.entries(TASKS)) {
    const line = { task }
    try {
      await run()
    } catch (error) {
      line.error = String(error)
    }
    console.log(JSON.stringify(line))
  }
}

main()
