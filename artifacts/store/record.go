package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"eyrie/artifacts"
	"eyrie/artifacts/seal"
	"eyrie/artifacts/tree"
)

// Record says what an action produced.
type Record struct {
	Action   artifacts.ActionID `json:"action"`
	Preimage json.RawMessage    `json:"preimage"` // canonical JSON whose SHA-256 is Action
	Output   json.RawMessage    `json:"output"`   // canonical JSON; files are handles (artifacts.File)
	Objects  []artifacts.File   `json:"objects"`  // every file and tree that Output refers to
	Step     string             `json:"step"`     // the step that did it first
	Run      string             `json:"run"`      // the run that did it
	Started  time.Time          `json:"started"`
	Elapsed  time.Duration      `json:"elapsed"` // ns
	Adopted  *Adopted           `json:"adopted,omitempty"`
	Shared   *Shared            `json:"shared,omitempty"`
}

// Shared says who published a record for others, and where from.
type Shared struct {
	By     string `json:"by"`     // a user
	Host   string `json:"host"`   // of the machine
	Runner string `json:"runner"` // the version of the program

	// Signature is over the record with no signature, by the private key that goes with
	// Key; both are "" in a record that nobody signed.
	Key       string `json:"key,omitempty"`
	Signature []byte `json:"signature,omitempty"`
}

// Adopted says that a result was not made by its stage: somebody gave files or values for
// it.
type Adopted struct {
	Time   time.Time `json:"time"`
	Runner string    `json:"runner"`         // the version of the program that took it
	From   []string  `json:"from,omitempty"` // "weights=/data/w.bin", by output; a value stands for itself
	Note   string    `json:"note,omitempty"`
}

// Record keeps r under r.Action, which must be its preimage's hash; its objects
// must be in the store. It is all or nothing, and outlasts a loss of power.
func (s *Store) Record(ctx context.Context, r Record) error {
	return s.Batch().Commit(ctx, r)
}

// Forget removes the record of an action. Its objects stay until nothing needs them.
func (s *Store) Forget(ctx context.Context, id artifacts.ActionID) error {
	return s.dir.Delete(ctx, actionKey(id))
}

// put puts a record, as it is kept, where its objects are.
func (s *Store) put(ctx context.Context, r Record, encoded []byte) error {
	for _, f := range r.Objects {
		if _, err := s.dir.Stat(ctx, objectKey(f.Digest)); err != nil {
			return fmt.Errorf("record of %s: object %s: %w", r.Step, f.Digest, missing(err))
		}
	}
	if err := s.dir.Put(ctx, actionKey(r.Action), bytes.NewReader(encoded)); err != nil {
		return err
	}
	s.flush(10 * time.Second) // for a process that is killed later
	return nil
}

// Lookup returns the record of an action, or ErrNotFound. Where the record is
// there but one of its objects is missing or damaged it returns both the record
// and an error that is ErrNotFound and names the object. What the store does not have it
// looks for behind itself, if anything is there: the objects of such a record come when
// something reads them.
func (s *Store) Lookup(ctx context.Context, id artifacts.ActionID) (Record, error) {
	r, err := s.lookupHere(ctx, id)
	if s.behind == nil || !errors.Is(err, ErrNotFound) {
		return r, err
	}
	theirs, missed := s.lookupBehind(ctx, id)
	switch {
	case missed == nil:
		return theirs, nil
	case errors.Is(missed, ErrNotFound):
		return r, err
	}
	return Record{}, missed
}

func (s *Store) lookupHere(ctx context.Context, id artifacts.ActionID) (Record, error) {
	r, err := s.readRecord(ctx, id)
	if err != nil {
		return Record{}, err
	}
	for _, f := range r.Objects {
		if err := s.Holds(ctx, f); isMiss(err) {
			return r, fmt.Errorf("%w: %w", ErrNotFound, err)
		} else if err != nil {
			return Record{}, err
		}
	}
	return r, nil
}

// Holds fails with ErrNotFound or ErrDamaged if not all of f is in the store itself as
// an object: a tree that is laid out for reading does not count. Of a tree that lies outside
// the manifest is all.
func (s *Store) Holds(ctx context.Context, f artifacts.File) error {
	if !f.Tree || f.Outside {
		return s.check(ctx, f.Digest)
	}
	m, err := s.manifest(ctx, f.Digest)
	if err != nil {
		return err
	}
	return m.EachFile(ctx, func(ctx context.Context, e tree.Entry) error { return s.check(ctx, e.Digest) })
}

// records are buffers of what is read, because a plan looks up thousands and
// DecodeRecord keeps none of it.
var records = sync.Pool{New: func() any { return new([]byte) }}

func (s *Store) readRecord(ctx context.Context, id artifacts.ActionID) (Record, error) {
	b := records.Get().(*[]byte)
	defer records.Put(b)
	var err error
	if *b, err = s.dir.Read(ctx, actionKey(id), (*b)[:0]); err != nil {
		return Record{}, missing(err)
	}
	r, err := DecodeRecord(*b, id)
	if err != nil {
		return Record{}, fmt.Errorf("%w: the record of %s is damaged", ErrNotFound, id)
	}
	return r, nil
}

// EncodeRecord returns a record as stores and buckets keep it: sealed, and indented for a reader.
func EncodeRecord(r Record) ([]byte, error) {
	var line, body bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false) // the preimage must stay as it is
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("record of %s: %w", r.Step, err)
	}
	if err := json.Indent(&body, bytes.TrimSpace(line.Bytes()), "", " "); err != nil {
		return nil, err
	}
	b := seal.Wrap("record 1", body.Bytes())
	if _, err := DecodeRecord(b, r.Action); err != nil {
		return nil, fmt.Errorf("record of %s: the preimage is not the action's, or not compact JSON", r.Step)
	}
	return b, nil
}

// DecodeRecord reads what EncodeRecord returned for the action id, and fails for anything
// that was damaged or is another action's. It keeps nothing of b.
func DecodeRecord(b []byte, id artifacts.ActionID) (Record, error) {
	body, err := seal.Open("record 1", b)
	if err != nil {
		return Record{}, err
	}
	line := compact(body)
	r, ok := readPlain(line)
	if !ok {
		if err := json.Unmarshal(line, &r); err != nil {
			return Record{}, err
		}
	}
	if r.Action != id || artifacts.NewActionID(r.Preimage) != id {
		return Record{}, errors.New("the record of another action")
	}
	return r, nil
}

// readPlain reads a record, without space between tokens, in the order in which
// EncodeRecord writes its fields: in a third of the time that package json takes, which
// a plan of thousands of steps takes for each. What is written otherwise it leaves to that
// package. The text was sealed, so it is JSON.
func readPlain(line []byte) (r Record, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"action":"`))
	digits := 2 * len(r.Action)
	if !ok || len(rest) < digits || r.Action.UnmarshalText(rest[:digits]) != nil {
		return Record{}, false
	}
	rest = rest[digits:]
	var objects, step, run, started, elapsed []byte
	for _, field := range []struct {
		name string
		to   *[]byte
	}{
		{`","preimage":`, (*[]byte)(&r.Preimage)}, {`,"output":`, (*[]byte)(&r.Output)}, {`,"objects":`, &objects},
		{`,"step":`, &step}, {`,"run":`, &run}, {`,"started":`, &started}, {`,"elapsed":`, &elapsed},
	} {
		if rest, ok = bytes.CutPrefix(rest, []byte(field.name)); !ok {
			return Record{}, false
		}
		n := valueEnd(rest)
		*field.to, rest = rest[:n:n], rest[n:]
	}
	if shared, ok := bytes.CutPrefix(rest, []byte(`,"shared":`)); ok {
		n := valueEnd(shared)
		if json.Unmarshal(shared[:n], &r.Shared) != nil {
			return Record{}, false
		}
		rest = shared[n:]
	}
	ns, err := strconv.ParseInt(string(elapsed), 10, 64)
	if err != nil || string(rest) != "}" || !readText(step, &r.Step) || !readText(run, &r.Run) || r.Started.UnmarshalJSON(started) != nil {
		return Record{}, false
	}
	r.Elapsed = time.Duration(ns)
	if string(objects) != "null" {
		for list := bytes.TrimSuffix(bytes.TrimPrefix(objects, []byte("[")), []byte("]")); len(list) > 0; {
			n := valueEnd(list)
			var f artifacts.File
			if f.UnmarshalJSON(list[:n]) != nil {
				return Record{}, false
			}
			r.Objects = append(r.Objects, f)
			list = bytes.TrimPrefix(list[n:], []byte(","))
		}
	}
	return r, true
}

// readText reads a JSON string; most have nothing in them that is written otherwise.
func readText(text []byte, to *string) bool {
	if n := len(text); n >= 2 && text[0] == '"' && bytes.IndexByte(text, '\\') < 0 {
		*to = string(text[1 : n-1])
		return utf8.ValidString(*to)
	}
	return json.Unmarshal(text, to) == nil
}

// valueEnd returns the length of the JSON value, without space between its tokens, that
// text begins with; all of text where the value has no end.
func valueEnd(text []byte) int {
	depth := 0
	for i := 0; i < len(text); {
		switch text[i] {
		case '"':
			i += stringEnd(text[i:])
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // of a number or a word, the last of what it is in
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(text)
}

// compact returns JSON text without the space between its tokens. It does in a tenth
// of the time what json.Compact does, as it takes for granted that the text is JSON.
func compact(text []byte) []byte {
	line := make([]byte, 0, len(text))
	for len(text) > 0 {
		switch c := text[0]; c {
		case ' ', '\n', '\t', '\r':
			text = text[1:]
		case '"':
			n := stringEnd(text)
			line, text = append(line, text[:n]...), text[n:]
		default:
			line, text = append(line, c), text[1:]
		}
	}
	return line
}

// stringEnd returns the length of the JSON string that text begins with; all of
// text where the string has no end.
func stringEnd(text []byte) int {
	for i := 1; i < len(text); i++ {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			break
		}
		i += n
		escaped := false
		for k := i - 1; text[k] == '\\'; k-- {
			escaped = !escaped
		}
		if !escaped {
			return i + 1
		}
	}
	return len(text)
}
