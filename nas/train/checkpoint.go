package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// checkpoint is the state of a training after a step. In a file it is the
// SHA-256 of all that follows, the length of the JSON (8 bytes, little
// endian), the JSON, and the backend's state.
type checkpoint struct {
	Step  int   `json:"step"`
	Curve curve `json:"curve"`

	state []byte
}

// store keeps the last two checkpoints in a directory; none if dir is "".
type store struct{ dir string }

// keep is how many checkpoints are kept.
const keep = 2

const suffix = ".checkpoint"

// save writes the training's state.
func (t *Training) save(ctx context.Context) error {
	t.saved = time.Now()
	if t.store.dir == "" {
		return nil
	}
	state, err := t.backend.State(ctx)
	if err == nil {
		err = t.store.save(checkpoint{Step: t.step, Curve: t.curve, state: state})
	}
	if err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", t.step, err)
	}
	return nil
}

// save writes a checkpoint so that a kill at any time leaves either it or the
// ones before, and removes the oldest.
func (s store) save(ck checkpoint) error {
	head, err := json.Marshal(ck)
	if err != nil {
		return err
	}
	b := make([]byte, sha256.Size, sha256.Size+8+len(head)+len(ck.state))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(head)))
	b = append(append(b, head...), ck.state...)
	sum := sha256.Sum256(b[sha256.Size:])
	copy(b, sum[:])
	if err := writeFile(filepath.Join(s.dir, fmt.Sprintf("%012d%s", ck.Step, suffix)), b); err != nil {
		return err
	}
	list, err := s.list()
	if err != nil {
		return err
	}
	for _, path := range list[:max(0, len(list)-keep)] {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// writeFile puts a file into its place only when all of it is on the disk.
func writeFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// list returns the checkpoints' paths, the oldest first.
func (s store) list() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			list = append(list, filepath.Join(s.dir, e.Name()))
		}
	}
	slices.Sort(list) // the step has leading zeros
	return list, nil
}

// latest returns the path of the newest checkpoint, or "".
func (s store) latest() string {
	if s.dir == "" {
		return ""
	}
	if list, err := s.list(); err == nil && len(list) > 0 {
		return list[len(list)-1]
	}
	return ""
}

// load returns the newest checkpoint that is whole, nil if there is none, and
// what is wrong with newer ones.
func (s store) load() (ck *checkpoint, damaged []error, err error) {
	if s.dir == "" {
		return nil, nil, nil
	}
	list, err := s.list()
	if err != nil {
		return nil, nil, err
	}
	for _, path := range slices.Backward(list) {
		b, err := os.ReadFile(path)
		if err == nil {
			ck, err = parseCheckpoint(b)
		}
		if err == nil {
			return ck, damaged, nil
		}
		damaged = append(damaged, fmt.Errorf("%s: %w", path, err))
	}
	return nil, damaged, nil
}

// parseCheckpoint decodes and verifies a file.
func parseCheckpoint(b []byte) (*checkpoint, error) {
	if len(b) < sha256.Size+8 {
		return nil, fmt.Errorf("truncated to %d bytes", len(b))
	}
	if sum := sha256.Sum256(b[sha256.Size:]); !bytes.Equal(sum[:], b[:sha256.Size]) {
		return nil, errors.New("content does not match its digest")
	}
	b = b[sha256.Size:]
	n := binary.LittleEndian.Uint64(b)
	b = b[8:]
	if n > uint64(len(b)) {
		return nil, errors.New("header is longer than the file")
	}
	var ck checkpoint
	if err := json.Unmarshal(b[:n], &ck); err != nil {
		return nil, err
	}
	ck.state = b[n:]
	return &ck, nil
}
