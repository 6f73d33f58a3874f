// Does the task list of benches/peers/src/kms_client.rs with the AWS SDK for Go v2.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
)

const replicaRegion = "eu-west-1"

var (
	ctx     = context.Background()
	message = []byte("a message")
	about   = map[string]string{"about": "tasks", "by": "Go"}
)

func client(region, id, secret string) *kms.Client {
	provider := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
	})
	return kms.New(kms.Options{
		Region:           region,
		BaseEndpoint:     aws.String(os.Getenv("AWS_ENDPOINT_URL")),
		Credentials:      provider,
		RetryMaxAttempts: 1,
	})
}

func own(region string) *kms.Client {
	return client(region, os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"))
}

// The key, and what was encrypted under it before it was rotated.
type state struct {
	kms    *kms.Client
	key    string
	before []byte
}

func (s *state) encrypt(key string) ([]byte, error) {
	reply, err := s.kms.Encrypt(ctx, &kms.EncryptInput{
		KeyId: &key, Plaintext: message, EncryptionContext: about,
	})
	if err != nil {
		return nil, err
	}
	return reply.CiphertextBlob, nil
}

func opens(with *kms.Client, blob []byte, about map[string]string) error {
	reply, err := with.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: blob, EncryptionContext: about})
	if err != nil {
		return err
	}
	return equal(reply.Plaintext, message)
}

func (s *state) create() error {
	reply, err := s.kms.CreateKey(ctx, &kms.CreateKeyInput{
		Description: aws.String("tasks"),
		Tags:        []types.Tag{{TagKey: aws.String("by"), TagValue: aws.String("Go")}},
	})
	if err != nil {
		return err
	}
	s.key = *reply.KeyMetadata.KeyId
	alias := "alias/go-tasks"
	input := kms.CreateAliasInput{AliasName: &alias, TargetKeyId: &s.key}
	if _, err = s.kms.CreateAlias(ctx, &input); err != nil {
		return err
	}
	described, err := s.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &alias})
	if err != nil {
		return err
	}
	if *described.KeyMetadata.KeyId != s.key || described.KeyMetadata.KeyState != types.KeyStateEnabled {
		return fmt.Errorf("it is described as %v", described.KeyMetadata)
	}
	return nil
}

func (s *state) encryptWithContext() (err error) {
	if s.before, err = s.encrypt(s.key); err != nil {
		return err
	}
	if err = opens(s.kms, s.before, about); err != nil {
		return err
	}
	return refused("InvalidCiphertextException", opens(s.kms, s.before, nil))
}

func (s *state) rotate() error {
	if _, err := s.kms.RotateKeyOnDemand(ctx, &kms.RotateKeyOnDemandInput{KeyId: &s.key}); err != nil {
		return err
	}
	reply, err := s.kms.ListKeyRotations(ctx, &kms.ListKeyRotationsInput{KeyId: &s.key})
	if err != nil {
		return err
	}
	if len(reply.Rotations) != 1 || reply.Rotations[0].RotationType != types.RotationTypeOnDemand {
		return fmt.Errorf("the rotations are %v", reply.Rotations)
	}
	after, err := s.encrypt(s.key)
	if err != nil {
		return err
	}
	return opens(s.kms, after, about)
}

func (s *state) decryptOld() error {
	return opens(s.kms, s.before, about)
}

func (s *state) signAndVerify() error {
	digest := sha256.Sum256(message)
	for _, each := range []struct {
		spec      types.KeySpec
		algorithm types.SigningAlgorithmSpec
		verify    func(public any, signature []byte) bool
	}{
		{types.KeySpecEccNistP256, types.SigningAlgorithmSpecEcdsaSha256, func(public any, signature []byte) bool {
			return ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], signature)
		}},
		{types.KeySpecRsa2048, types.SigningAlgorithmSpecRsassaPssSha256, func(public any, signature []byte) bool {
			return rsa.VerifyPSS(public.(*rsa.PublicKey), crypto.SHA256, digest[:], signature, nil) == nil
		}},
		{"ECC_NIST_EDWARDS25519", "ED25519_SHA_512", func(public any, signature []byte) bool {
			return ed25519.Verify(public.(ed25519.PublicKey), message, signature)
		}},
	} {
		input := kms.CreateKeyInput{KeySpec: each.spec, KeyUsage: types.KeyUsageTypeSignVerify}
		made, err := s.kms.CreateKey(ctx, &input)
		if err != nil {
			return err
		}
		key := made.KeyMetadata.KeyId
		signed, err := s.kms.Sign(ctx, &kms.SignInput{KeyId: key, Message: message, SigningAlgorithm: each.algorithm})
		if err != nil {
			return err
		}
		public, err := s.kms.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: key})
		if err != nil {
			return err
		}
		parsed, err := x509.ParsePKIXPublicKey(public.PublicKey)
		if err != nil {
			return err
		}
		altered := append([]byte{signed.Signature[0] ^ 1}, signed.Signature[1:]...)
		if !each.verify(parsed, signed.Signature) || each.verify(parsed, altered) {
			return fmt.Errorf("crypto does not agree on %s", each.algorithm)
		}
	}
	return nil
}

func (s *state) importMaterial() error {
	made, err := s.kms.CreateKey(ctx, &kms.CreateKeyInput{Origin: types.OriginTypeExternal})
	if err != nil {
		return err
	}
	key := *made.KeyMetadata.KeyId
	parameters, err := s.kms.GetParametersForImport(ctx, &kms.GetParametersForImportInput{
		KeyId:             &key,
		WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256,
		WrappingKeySpec:   types.WrappingKeySpecRsa2048,
	})
	if err != nil {
		return err
	}
	public, err := x509.ParsePKIXPublicKey(parameters.PublicKey)
	if err != nil {
		return err
	}
	material := make([]byte, 32)
	rand.Read(material)
	wrapped, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), material, nil)
	if err != nil {
		return err
	}
	_, err = s.kms.ImportKeyMaterial(ctx, &kms.ImportKeyMaterialInput{
		KeyId:                &key,
		ImportToken:          parameters.ImportToken,
		EncryptedKeyMaterial: wrapped,
		ExpirationModel:      types.ExpirationModelTypeKeyMaterialDoesNotExpire,
	})
	if err != nil {
		return err
	}
	blob, err := s.encrypt(key)
	if err != nil {
		return err
	}
	return opens(s.kms, blob, about)
}

func (s *state) grant() error {
	second := client(os.Getenv("AWS_DEFAULT_REGION"), os.Getenv("SECOND_ACCESS_KEY_ID"), os.Getenv("SECOND_SECRET_ACCESS_KEY"))
	blob, err := s.encrypt(s.key)
	if err != nil {
		return err
	}
	if err = refused("AccessDeniedException", opens(second, blob, about)); err != nil {
		return err
	}
	made, err := s.kms.CreateGrant(ctx, &kms.CreateGrantInput{
		KeyId:            &s.key,
		GranteePrincipal: aws.String(os.Getenv("SECOND_ARN")),
		Operations:       []types.GrantOperation{types.GrantOperationDecrypt},
		Constraints:      &types.GrantConstraints{EncryptionContextSubset: map[string]string{"about": "tasks"}},
	})
	if err != nil {
		return err
	}
	if err = opens(second, blob, about); err != nil {
		return err
	}
	if err = refused("AccessDeniedException", opens(second, blob, map[string]string{"by": "Go"})); err != nil {
		return err
	}
	input := kms.RevokeGrantInput{KeyId: &s.key, GrantId: made.GrantId}
	if _, err = s.kms.RevokeGrant(ctx, &input); err != nil {
		return err
	}
	return refused("AccessDeniedException", opens(second, blob, about))
}

func (s *state) replicate() error {
	made, err := s.kms.CreateKey(ctx, &kms.CreateKeyInput{MultiRegion: aws.Bool(true)})
	if err != nil {
		return err
	}
	key := *made.KeyMetadata.KeyId
	blob, err := s.encrypt(key)
	if err != nil {
		return err
	}
	there := own(replicaRegion)
	if err = opens(there, blob, about); err == nil {
		return errors.New("it opens where there is no replica")
	}
	input := kms.ReplicateKeyInput{KeyId: &key, ReplicaRegion: aws.String(replicaRegion)}
	if _, err = s.kms.ReplicateKey(ctx, &input); err != nil {
		return err
	}
	return opens(there, blob, about)
}

func refused(code string, err error) error {
	var told smithy.APIError
	if errors.As(err, &told) && told.ErrorCode() == code {
		return nil
	}
	return fmt.Errorf("%s expected, not %v", code, err)
}

func equal(found, wanted []byte) error {
	if !bytes.Equal(found, wanted) {
		return fmt.Errorf("%q is not %q", found, wanted)
	}
	return nil
}

func main() {
	s := state{kms: own(os.Getenv("AWS_DEFAULT_REGION"))}
	for _, task := range []struct {
		name string
		do   func() error
	}{
		{"create", s.create},
		{"encrypt", s.encryptWithContext},
		{"rotate", s.rotate},
		{"decrypt-old", s.decryptOld},
		{"sign", s.signAndVerify},
		{"import", s.importMaterial},
		{"grant", s.grant},
		{"replicate", s.replicate},
	} {
		line := map[string]string{"task": task.name}
		if err := task.do(); err != nil {
			line["error"] = err.Error()
		}
		text, _ := json.Marshal(line)
		fmt.Println(string(text))
	}
}
