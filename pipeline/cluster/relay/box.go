package relay

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"eyrie/artifacts/blob"
)

// box is a batch's files in a bucket. Each is sealed: whoever can write to the bucket, and has
// not the batch's token, can take a file away and put no other in its place.
type box struct {
	bucket blob.Bucket
	batch  string
	token  []byte
}

// errForged reports a file that is not what was put there.
var errForged = errors.New("in the cache was changed by somebody else, or is cut")

// mostFile is the size of a file that nobody makes.
const mostFile = 256 << 20

func (b *box) key(name string) blob.Key {
	return blob.Key{Kind: blob.Job, Hash: sha256.Sum256([]byte(b.batch + "/" + name))}
}

func (b *box) mac(name string, content []byte) []byte {
	h := hmac.New(sha256.New, b.token)
	fmt.Fprintf(h, "%s/%s\n", b.batch, name)
	h.Write(content)
	return h.Sum(nil)
}

func (b *box) seal(name string, content []byte) io.ReadSeeker {
	return bytes.NewReader(append(b.mac(name, content), content...))
}

func (b *box) put(ctx context.Context, name string, content []byte) error {
	return b.bucket.Put(ctx, b.key(name), b.seal(name, content))
}

// create is put that fails with fs.ErrExist where there is such a file.
func (b *box) create(ctx context.Context, name string) error {
	return b.bucket.Create(ctx, b.key(name), b.seal(name, nil))
}

// get returns a file's content; its error is fs.ErrNotExist where there is none.
func (b *box) get(ctx context.Context, name string) ([]byte, error) {
	r, err := b.bucket.Open(ctx, b.key(name))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	all, err := io.ReadAll(io.LimitReader(r, mostFile))
	if err != nil {
		return nil, err
	}
	if len(all) < sha256.Size || !hmac.Equal(all[:sha256.Size], b.mac(name, all[sha256.Size:])) {
		return nil, fmt.Errorf("%s/%s %w", b.batch, name, errForged)
	}
	return all[sha256.Size:], nil
}

// remove removes a file, and reports whether there was one.
func (b *box) remove(ctx context.Context, name string) (was bool, err error) {
	if _, err := b.bucket.Stat(ctx, b.key(name)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, b.bucket.Delete(ctx, b.key(name))
}

// The names of a batch's files. A start is once that an element is started: the first is 0.
func jobFile(element int) string          { return fmt.Sprintf("%d.job", element) }
func checkpointFile(element int) string   { return fmt.Sprintf("%d.checkpoint", element) }
func startFile(element, start int) string { return fmt.Sprintf("%d.%d", element, start) }

func partFile(element, start, part int) string {
	return fmt.Sprintf("%d.%d.%d", element, start, part)
}

// part is what an element has said since the part before.
type part struct {
	Events []byte `json:"events,omitempty"`
	Log    []byte `json:"log,omitempty"`
}
