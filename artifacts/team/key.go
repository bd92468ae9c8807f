package team

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"

	"eyrie/artifacts/store"
)

// Keys are text: a word that says what they are, and their bytes in base64.
const publicWord, privateWord = "ed25519:", "eyrie-private-key ed25519:"

// FormatKey returns a public key as site files and records have it.
func FormatKey(key ed25519.PublicKey) string {
	return publicWord + base64.StdEncoding.EncodeToString(key)
}

// ParseKey reads what FormatKey wrote.
func ParseKey(text string) (ed25519.PublicKey, error) {
	digits, ok := strings.CutPrefix(text, publicWord)
	b, err := base64.StdEncoding.DecodeString(digits)
	if !ok || err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%q is no public key: want %s and 44 characters, as runner site key prints", text, publicWord)
	}
	return b, nil
}

// NewKey makes a pair of keys and writes the private one to a new file, which only its owner
// may read.
func NewKey(path string) (ed25519.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(f, privateWord+base64.StdEncoding.EncodeToString(private.Seed()))
	return public, errors.Join(err, f.Close())
}

// ReadKey reads the private key in a file. No error quotes it.
func ReadKey(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	digits, ok := strings.CutPrefix(strings.TrimSpace(string(text)), privateWord)
	b, err := base64.StdEncoding.DecodeString(digits)
	if !ok || err != nil || len(b) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s holds no private key: runner site key makes one", path)
	}
	return ed25519.NewKeyFromSeed(b), nil
}

// sign signs a record. The signature is over all of it: the action, the output, the objects'
// digests, and who made it, when, and whether it was adopted.
func sign(r *store.Record, key ed25519.PrivateKey) error {
	r.Shared.Key = FormatKey(key.Public().(ed25519.PublicKey))
	text, err := signed(*r)
	if err == nil {
		r.Shared.Signature = ed25519.Sign(key, text)
	}
	return err
}

// signed returns what a record's signature is over.
func signed(r store.Record) ([]byte, error) {
	shared := *r.Shared
	shared.Signature = nil
	r.Shared = &shared
	return store.EncodeRecord(r)
}

// trusted fails unless one of the keys, if there are any, has signed the record.
func trusted(r store.Record, keys []ed25519.PublicKey) error {
	if len(keys) == 0 {
		return nil
	}
	if r.Shared == nil || r.Shared.Key == "" {
		return errors.New("nobody has signed it")
	}
	text, err := signed(r)
	if err != nil {
		return err
	}
	for _, key := range keys {
		named, err := ParseKey(r.Shared.Key)
		if err != nil || !bytes.Equal(named, key) {
			continue
		}
		if !ed25519.Verify(key, text, r.Shared.Signature) {
			return fmt.Errorf("its signature is not that of %s", r.Shared.Key)
		}
		return nil
	}
	return fmt.Errorf("it was signed by %q", r.Shared.Key)
}
