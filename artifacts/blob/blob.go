// Package blob is what a store stands on: bytes by key, in a directory, in
// memory or behind a network.
//
// A [Bucket] knows neither digests nor trees nor records and verifies nothing.
// The store above it checks whatever it reads, because a disk, a bucket that
// many machines write to and a network can all return something else than what
// was put. So an implementation for a network is a page of its client's calls;
// blobtest says whether it is right.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"eyrie/artifacts"
)

// Kind says what blobs hold. It is the first element of their keys.
type Kind string

const (
	Object Kind = "objects" // content, named by its digest
	Action Kind = "actions" // records, named by their action's id
	Job    Kind = "jobs"    // what machines tell each other that share nothing else, named by a name's hash
)

// Key names a blob. It is a struct and not a path because every blob has a hash
// for a name: no key can lead out of a directory or be too long for a server.
type Key struct {
	Kind Kind
	Hash [sha256.Size]byte
}

// String returns the key as a path, "objects/ab/cdef…": the 256 directories keep
// each one small.
func (k Key) String() string {
	b := append(make([]byte, 0, 96), k.Kind...) // on the stack: a plan asks for thousands
	b = append(b, '/')
	b = hex.AppendEncode(b, k.Hash[:1])
	b = append(b, '/')
	return string(hex.AppendEncode(b, k.Hash[1:]))
}

// ParseKey decodes what String returned. It fails for any other string, so that
// List can tell blobs from what else lies in a bucket.
func ParseKey(s string) (Key, error) {
	kind, name, _ := strings.Cut(s, "/")
	var hash artifacts.Digest
	err := hash.UnmarshalText([]byte(strings.Replace(name, "/", "", 1)))
	k := Key{Kind(kind), hash}
	if err != nil || kind == "" || k.String() != s {
		return Key{}, fmt.Errorf("%q is not the key of a blob", s)
	}
	return k, nil
}

// Info describes a blob.
type Info struct {
	Key  Key
	Size int64 // bytes
	// Put is when the blob was last put, or later: a collection of what nothing
	// refers to spares what is young. It is by the bucket's clock.
	Put time.Time
}

// Upload is a blob that somebody has begun to put, in parts, and that is not there yet.
type Upload struct {
	Key   Key
	ID    string
	Begun time.Time
}

// ErrRefused reports a server that is there and does not do what it is asked to, however
// often: the address, the bucket's name or the credentials are not right.
var ErrRefused = errors.New("refused")

// Bucket keeps blobs by key. Its methods may be called by many goroutines and
// many processes at once. They fail with an error that is fs.ErrNotExist where
// there is no such blob, and with the context's where that is done.
type Bucket interface {
	// Stat describes a blob without reading it.
	Stat(ctx context.Context, key Key) (Info, error)
	// Open reads a blob from its beginning. The reader returns all of one
	// content, also if the blob is replaced or deleted while it reads, or an
	// error; ctx counts until the reader is closed.
	Open(ctx context.Context, key Key) (io.ReadCloser, error)
	// Put stores all of content under key, in place of what is there. Until it
	// returns, others see what was there before or all of the new content, and
	// after an error too; once it returned nil, the blob outlasts a loss of
	// power. Content is read from its beginning, and again where a network
	// makes that necessary.
	Put(ctx context.Context, key Key, content io.ReadSeeker) error
	// Create is Put where nothing is there, and fails with fs.ErrExist where
	// something is. One of many concurrent writers succeeds.
	Create(ctx context.Context, key Key, content io.ReadSeeker) error
	// List yields the blobs of a kind, in any order. It ends after an error.
	// What is put or deleted meanwhile may be missing or not.
	List(ctx context.Context, kind Kind) iter.Seq2[Info, error]
	// Delete removes a blob. It is no error if there is none.
	Delete(ctx context.Context, key Key) error
}
