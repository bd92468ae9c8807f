package web

import (
	"context"
	"errors"
	"io"
	"net/http"

	"eyrie/artifacts/blob"
)

// Open implements blob.Bucket. Where the connection breaks, reading goes on from there if
// the server tells its versions of the blob apart.
func (b *Bucket) Open(ctx context.Context, key blob.Key) (io.ReadCloser, error) {
	w, err := b.do(ctx, request{method: "GET", path: key.String()})
	if err != nil {
		return nil, err
	}
	return &download{ctx: ctx, bucket: b, key: key, w: w, etag: w.Header.Get("ETag")}, nil
}

// resumes is how often a download goes on without having got anything in between.
const resumes = 5

type download struct {
	ctx    context.Context
	bucket *Bucket
	key    blob.Key
	w      *http.Response
	etag   string
	done   int64 // bytes read
	failed int   // in a row
}

func (d *download) Read(p []byte) (int, error) {
	for {
		n, err := d.w.Body.Read(p)
		if d.done += int64(n); n > 0 {
			d.failed = 0
		}
		if n > 0 || err == nil || errors.Is(err, io.EOF) {
			return n, err
		}
		if err := d.resume(err); err != nil {
			return 0, err
		}
	}
}

// resume asks for the rest, after the error cause.
func (d *download) resume(cause error) error {
	if d.failed++; d.failed > resumes || d.ctx.Err() != nil || d.etag == "" || d.done == 0 {
		return d.bucket.unanswered(cause)
	}
	w, err := d.bucket.do(d.ctx, request{method: "GET", path: d.key.String(), from: d.done, etag: d.etag})
	if err != nil {
		return errors.Join(d.bucket.unanswered(cause), err)
	}
	d.w.Body.Close()
	d.w = w
	return nil
}

func (d *download) Close() error { return d.w.Body.Close() }
