package s3

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"eyrie/artifacts/blob"
)

// partSize is what is put in one request: a lost connection costs at most that much, and
// 10,000 parts, the most that there can be, are 640 GB.
const partSize = 64 << 20

// atOnce is how many parts of an object are on their way at the same time.
const atOnce = 4

// single are the options of an object that is put in one request.
func single() minio.PutObjectOptions {
	return minio.PutObjectOptions{DisableMultipart: true, ContentType: "application/octet-stream"}
}

// Put implements blob.Bucket.
func (b *Bucket) Put(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	size, err := sizeOf(content)
	if err != nil {
		return err
	}
	opt := single()
	if size > partSize {
		opt.DisableMultipart, opt.PartSize, opt.NumThreads = false, partSize, atOnce
	}
	return b.put(ctx, key, content, size, opt)
}

// Create implements blob.Bucket, in a single request: most servers ignore the condition
// where an object is put in parts.
func (b *Bucket) Create(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	size, err := sizeOf(content)
	if err != nil {
		return err
	}
	opt := single()
	opt.SetMatchETagExcept("*")
	return b.put(ctx, key, content, size, opt)
}

// put puts content, again where another request about the same key came in between: servers
// answer one of the two with a conflict.
func (b *Bucket) put(ctx context.Context, key blob.Key, content io.ReadSeeker, size int64, opt minio.PutObjectOptions) error {
	for n := 1; ; n++ {
		err := b.putOnce(ctx, key, content, size, opt)
		if !errors.Is(err, errConflict) || n == retries {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond << n):
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := content.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
}

func (b *Bucket) putOnce(ctx context.Context, key blob.Key, content io.ReadSeeker, size int64, opt minio.PutObjectOptions) error {
	checked := &noting{ReadSeeker: content}
	var from io.Reader = checked
	if at, ok := content.(io.ReaderAt); ok { // whose parts can be read at the same time
		from = &notingAt{checked, at}
	}
	_, err := b.core.Client.PutObject(ctx, b.config.Bucket, b.name(key), from, size, opt)
	if err != nil && checked.err != nil {
		return checked.err // not the server's
	}
	return b.told(err, key.String())
}

// noting notes why content could not be read.
type noting struct {
	io.ReadSeeker
	err error
}

func (n *noting) Read(b []byte) (int, error) { return n.note(n.ReadSeeker.Read(b)) }

func (n *noting) note(read int, err error) (int, error) {
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return read, err
}

type notingAt struct {
	*noting
	at io.ReaderAt
}

func (n *notingAt) ReadAt(b []byte, off int64) (int, error) { return n.at.ReadAt(b, off) }

// sizeOf returns the size of content, and goes back to its beginning.
func sizeOf(content io.Seeker) (int64, error) {
	size, err := content.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	_, err = content.Seek(0, io.SeekStart)
	return size, err
}
