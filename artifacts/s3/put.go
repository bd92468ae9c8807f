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
	size, err := blob.SizeOf(content)
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
	size, err := blob.SizeOf(content)
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
	checked := &blob.Content{ReadSeeker: content}
	var from io.Reader = checked
	if at, ok := content.(io.ReaderAt); ok { // whose parts can be read at the same time
		from = &readsAt{checked, at}
	}
	_, err := b.core.Client.PutObject(ctx, b.config.Bucket, b.name(key), from, size, opt)
	if err != nil && checked.Err != nil {
		return checked.Err // not the server's
	}
	return b.told(err, writing, key.String())
}

// readsAt is content that can be read anywhere.
type readsAt struct {
	*blob.Content
	at io.ReaderAt
}

func (r *readsAt) ReadAt(b []byte, off int64) (int, error) { return r.at.ReadAt(b, off) }
