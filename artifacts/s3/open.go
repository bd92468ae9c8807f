package s3

import (
	"context"
	"errors"
	"io"

	"github.com/minio/minio-go/v7"

	"eyrie/artifacts/blob"
)

// Open implements blob.Bucket. Where the connection breaks while the blob is read, reading
// goes on from there, as long as the blob is still the same one.
func (b *Bucket) Open(ctx context.Context, key blob.Key) (io.ReadCloser, error) {
	body, o, _, err := b.core.GetObject(ctx, b.config.Bucket, b.name(key), minio.GetObjectOptions{})
	if err != nil {
		return nil, b.told(err, reading, key.String())
	}
	return &download{ctx: ctx, bucket: b, key: key, body: body, etag: o.ETag, left: o.Size}, nil
}

// resumes is how often a download goes on without having got anything in between.
const resumes = 5

// download reads a blob over as many connections as that takes.
type download struct {
	ctx    context.Context
	bucket *Bucket
	key    blob.Key
	body   io.ReadCloser
	etag   string
	done   int64 // bytes read
	left   int64 // bytes to read
	failed int   // in a row
}

func (d *download) Read(p []byte) (int, error) {
	for {
		if d.left == 0 {
			return 0, io.EOF
		}
		n, err := d.body.Read(p[:min(int64(len(p)), d.left)])
		d.done, d.left = d.done+int64(n), d.left-int64(n)
		if n > 0 {
			d.failed = 0
		}
		if n > 0 || err == nil {
			return n, nil // what is wrong shows again with the next one
		}
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err := d.resume(err); err != nil {
			return 0, err
		}
	}
}

// resume connects again, after the error cause.
func (d *download) resume(cause error) error {
	if d.failed++; d.failed > resumes || d.ctx.Err() != nil || d.etag == "" {
		return d.bucket.told(cause, reading, d.key.String())
	}
	var opt minio.GetObjectOptions
	_ = opt.SetMatchETag(d.etag) // which fails for none
	if d.done > 0 {
		_ = opt.SetRange(d.done, 0)
	}
	body, _, _, err := d.bucket.core.GetObject(d.ctx, d.bucket.config.Bucket, d.bucket.name(d.key), opt)
	if err != nil {
		return errors.Join(d.bucket.told(cause, reading, d.key.String()), d.bucket.told(err, reading, d.key.String()))
	}
	d.body.Close()
	d.body = body
	return nil
}

func (d *download) Close() error { return d.body.Close() }
