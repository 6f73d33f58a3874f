// Writes manifest.json and ciphertexts/: messages of the real JavaScript AWS Encryption SDK.
//
//     NODE_PATH=$PEERS/node-esdk/node_modules node make.js
//
// All suites with raw AES keyrings, and raw RSA keyrings with every padding. Plaintexts and wrapping keys
// are those of the folder above. The folder ciphertexts is written anew.
'use strict'

const { constants } = require('crypto')
const fs = require('fs')
const path = require('path')
const {
  AlgorithmSuiteIdentifier,
  CommitmentPolicy,
  MultiKeyringNode,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  RawRsaKeyringNode,
  buildEncrypt,
} = require('@aws-crypto/client-node')

const above = path.join(__dirname, '..')
const keys = JSON.parse(fs.readFileSync(path.join(above, 'keys.json'))).keys
const version = require('@aws-crypto/client-node/package.json').version
const namespace = 'strongroom-testdata'
const context = { purpose: 'testdata', zwölf: '12' }

const wrappingSuites = {
  128: RawAesWrappingSuiteIdentifier.AES128_GCM_IV12_TAG16_NO_PADDING,
  192: RawAesWrappingSuiteIdentifier.AES192_GCM_IV12_TAG16_NO_PADDING,
  256: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
}
const suites = Object.entries(AlgorithmSuiteIdentifier).filter(([name]) => isNaN(name)).map(([, id]) => id)
const commits = (suite) => suite >= 0x400

function aes(bits) {
  const name = `aes-${bits}`
  const keyring = new RawAesKeyringNode({
    keyName: name,
    keyNamespace: namespace,
    // The keyring wants memory of its own, not a part of a pool.
    unencryptedMasterKey: Uint8Array.from(Buffer.from(keys[name].material, 'base64')),
    wrappingSuite: wrappingSuites[bits],
  })
  const description = { type: 'raw', 'encryption-algorithm': 'aes', 'provider-id': namespace, key: name }
  return { keyring, description }
}

function rsa(algorithm, hash) {
  const keyring = new RawRsaKeyringNode({
    keyName: 'rsa-2048',
    keyNamespace: namespace,
    rsaKey: { publicKey: keys['rsa-2048-public'].material },
    padding: algorithm === 'pkcs1' ? constants.RSA_PKCS1_PADDING : constants.RSA_PKCS1_OAEP_PADDING,
    oaepHash: hash,
  })
  const description = {
    type: 'raw',
    'encryption-algorithm': 'rsa',
    'provider-id': namespace,
    key: 'rsa-2048-private',
    'padding-algorithm': algorithm,
    ...(hash ? { 'padding-hash': hash } : {}),
  }
  return { keyring, description }
}

const tests = {}

async function add(name, suite, plaintext, frameLength, made, keyring = made[0].keyring) {
  const policy = commits(suite)
    ? CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    : CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
  const source = fs.readFileSync(path.join(above, 'plaintexts', plaintext))
  const options = { suiteId: suite, encryptionContext: context, frameLength }
  const { result } = await buildEncrypt(policy).encrypt(keyring, source, options)
  fs.writeFileSync(path.join(__dirname, 'ciphertexts', name), result)
  tests[name] = {
    ciphertext: `file://ciphertexts/${name}`,
    'master-keys': made.map(({ description }) => description),
    'encryption-context': context,
    result: { output: { plaintext: `file://../plaintexts/${plaintext}` } },
  }
}

async function main() {
  const folder = path.join(__dirname, 'ciphertexts')
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder)
  const shapes = [['empty', 128], ['frames', 128], ['frames-and-more', 100]]
  for (const [at, suite] of suites.entries()) {
    const id = suite.toString(16).padStart(4, '0')
    for (const [offset, [plaintext, frame]] of shapes.entries()) {
      const made = aes([128, 192, 256][(at + offset) % 3])
      await add(`${id}-${plaintext}`, suite, plaintext, frame, [made])
    }
  }
  const paddings = [['pkcs1'], ...['sha1', 'sha256', 'sha384', 'sha512'].map((hash) => ['oaep-mgf1', hash])]
  for (const suite of [0x0178, 0x0478, 0x0578]) {
    const id = suite.toString(16).padStart(4, '0')
    for (const padding of paddings) {
      await add(`${id}-rsa-${padding.join('-')}`, suite, 'short', 4096, [rsa(...padding)])
    }
  }
  const made = [rsa('oaep-mgf1', 'sha512'), aes(192)]
  const [generator, child] = made.map(({ keyring }) => keyring)
  const keyring = new MultiKeyringNode({ generator, children: [child] })
  await add('several-keys', 0x0578, 'short', 4096, made, keyring)

  const manifest = {
    manifest: { type: 'awses-decrypt', version: 2 },
    client: { name: 'aws/aws-encryption-sdk-javascript', version },
    keys: 'file://../keys.json',
    tests,
  }
  fs.writeFileSync(path.join(__dirname, 'manifest.json'), JSON.stringify(manifest, null, 1) + '\n')
}

main()
