// Package artifacts names what a pipeline makes and keeps: the handles that
// stages take and return. It opens no store, so that whatever imports it can
// pass a result on and cannot keep one: package store does that.
//
// A [Digest] names bytes. An [ActionID] names a computation: the hash of a
// stage, its version and its evaluated attributes. The two types cannot be
// confused. A [File] is a handle to content that is too large for a value.
package artifacts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Digest is the SHA-256 of an object's content.
type Digest [sha256.Size]byte

// ActionID is the SHA-256 of an action's preimage: what was asked for, not
// what came out.
type ActionID [sha256.Size]byte

// Sum returns the digest of b.
func Sum(b []byte) Digest { return sha256.Sum256(b) }

// String returns the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d is the zero Digest, which names nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText encodes d in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText decodes what MarshalText wrote.
func (d *Digest) UnmarshalText(b []byte) error { return unhex(d[:], b, "digest") }

// NewActionID returns the id of the action with this preimage.
func NewActionID(preimage []byte) ActionID { return sha256.Sum256(preimage) }

// String returns the id in lower-case hexadecimal.
func (id ActionID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether id is the zero ActionID, which names nothing.
func (id ActionID) IsZero() bool { return id == ActionID{} }

// MarshalText encodes id in hexadecimal.
func (id ActionID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText decodes what MarshalText wrote.
func (id *ActionID) UnmarshalText(b []byte) error { return unhex(id[:], b, "action id") }

func unhex(dst, src []byte, what string) error {
	if len(src) != hex.EncodedLen(len(dst)) {
		return fmt.Errorf("%s %q: want %d hexadecimal digits", what, src, hex.EncodedLen(len(dst)))
	}
	if _, err := hex.Decode(dst, src); err != nil {
		return fmt.Errorf("%s %q: %w", what, src, err)
	}
	return nil
}
