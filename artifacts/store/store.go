// Package store keeps what a pipeline made: immutable content named by its
// digest, and for each action the record of what it produced.
//
// [Store] is the conformance-tested interface (see storetest); [Dir] is the
// crash-safe store on disk, [Mem] the one for tests.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"eyrie/artifacts"
)

// ErrNotFound reports an object or a record that the store does not hold.
// A record whose objects are missing or damaged is not found, too: it is a
// miss, not a failure.
var ErrNotFound = errors.New("not in the store")

// ErrDamaged reports an object whose content does not match its digest.
var ErrDamaged = errors.New("content does not match its digest")

// Record says what an action produced.
type Record struct {
	Action   artifacts.ActionID `json:"action"`
	Preimage json.RawMessage    `json:"preimage"` // canonical JSON whose SHA-256 is Action
	Output   json.RawMessage    `json:"output"`   // canonical JSON; files are handles (File)
	Objects  []artifacts.File   `json:"objects"`  // every file and tree that Output refers to
	Step     string             `json:"step"`     // the step that did it first
	Run      string             `json:"run"`      // the run that did it
	Started  time.Time          `json:"started"`
	Elapsed  time.Duration      `json:"elapsed"` // ns
}

// Store keeps objects by digest and records by action. Its methods may be
// called by many goroutines and many processes at once; readers take no lock.
type Store interface {
	Objects
	Actions
	Workspace
}

// Objects keeps immutable content by its digest.
type Objects interface {
	// Hash returns the handle of the file or directory tree at path, with its
	// Path, without storing it. A stat cache spares hashing what has not
	// changed. Symbolic links are followed: the digest is of what a reader of
	// path reads. Of a file, its content counts; of a tree, also its names,
	// its empty directories and which files its owner may execute, but not a
	// store that is in it.
	Hash(ctx context.Context, path string) (artifacts.File, error)
	// Import stores the file or directory tree at path and returns its handle,
	// without a Path, which can be read from the store from then on. What lies
	// in a directory of Temp may be moved, so that a link is left, which must
	// not be written to. Anything else is copied and left as it is.
	Import(ctx context.Context, path string) (artifacts.File, error)
	// Open reads an object. The reader verifies: it returns ErrDamaged
	// instead of io.EOF where the content does not match the digest.
	Open(d artifacts.Digest) (io.ReadCloser, error)
	// Fetch returns the handle with its Path set to a place on this machine
	// where its content, verified, can be read. The content must not be
	// changed. It fails with ErrNotFound or ErrDamaged.
	Fetch(ctx context.Context, f artifacts.File) (artifacts.File, error)
}

// Actions keeps what was done.
type Actions interface {
	// Record keeps r under r.Action, which must be its preimage's hash; its
	// objects must be in the store. It is all or nothing.
	Record(r Record) error
	// Lookup returns the record of an action, or ErrNotFound. Where the record
	// is there but one of its objects is missing or damaged it returns both
	// the record and an error that is ErrNotFound and names the object.
	Lookup(id artifacts.ActionID) (Record, error)

	// SetLast remembers that name (a step of a recipe) was last done as id.
	// Name may hold any characters.
	SetLast(name string, id artifacts.ActionID) error
	// Last returns what SetLast remembered, or ErrNotFound.
	Last(name string) (artifacts.ActionID, error)
}

// Workspace is what actions need while they are done.
type Workspace interface {
	// Lock waits until no other goroutine or process holds id, then holds it.
	// The lock dies with its process. While it waits it calls waiting (when
	// not nil), once, with a description of the holder.
	Lock(ctx context.Context, id artifacts.ActionID, waiting func(holder string)) (unlock func(), err error)
	// Checkpoint returns the directory in which the action may keep what it
	// needs to go on after an interruption. It survives a kill and is never
	// visible downstream. Call it while holding the action's lock.
	Checkpoint(id artifacts.ActionID) (dir string, err error)
	// HasCheckpoint tells whether there is something in the action's checkpoint
	// directory to go on from. It makes none.
	HasCheckpoint(id artifacts.ActionID) bool
	// DropCheckpoint removes the action's checkpoint directory, if there is one.
	DropCheckpoint(id artifacts.ActionID) error
	// Journal creates the journal of a run, to which events are appended.
	Journal(run string) (io.WriteCloser, error)
	// Temp returns a new empty directory on the store's own file system. The
	// caller removes it; what a killed process left is collected later.
	Temp() (dir string, err error)
}
