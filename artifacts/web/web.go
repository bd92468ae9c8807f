// Package web keeps blobs on any server that answers GET and HEAD, and PUT where it
// may be written to: a static site, or nginx with WebDAV. Keys are paths.
//
// Plain HTTP can neither list nor, mostly, delete, and a server that does not know
// "If-None-Match: *" replaces what Create would have left: that is as good as
// can be where records of one action are alike.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"eyrie/artifacts/blob"
)

// Bucket is a blob.Bucket at an address.
type Bucket struct {
	address string // ends in /
	client  *http.Client
}

var _ blob.Bucket = (*Bucket)(nil)

// Open returns the bucket at an address, http:// or https://, whose requests
// transport makes; nil for the default one. It asks the server for nothing.
func Open(address string, transport http.RoundTripper) (*Bucket, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("url %q: want http:// or https://, a host and a path", address)
	case u.User != nil:
		return nil, errors.New("url: credentials do not belong into an address")
	}
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64 // as many as lookups are under way: else each makes a new one
		transport = t
	}
	return &Bucket{strings.TrimSuffix(address, "/") + "/", &http.Client{Transport: transport, CheckRedirect: follow}}, nil
}

// follow lets a server say that a blob is elsewhere to whoever reads it. What is put it must take
// itself: a client would read where it was told to write, and call that a success.
func follow(_ *http.Request, via []*http.Request) error {
	const most = 10
	switch {
	case via[0].Method != "GET" && via[0].Method != "HEAD":
		return http.ErrUseLastResponse
	case len(via) >= most:
		return errors.New("the server redirects again and again")
	}
	return nil
}

// String returns the bucket's address.
func (b *Bucket) String() string { return strings.TrimSuffix(b.address, "/") }

// Check asks whether the server is there, and with write whether it may be written to. An
// error that is blob.ErrRefused says what to set right; blob.ErrEmpty, that there is nothing
// to be read yet.
func (b *Bucket) Check(ctx context.Context, write bool) error {
	open := func() (io.ReadCloser, error) {
		w, err := b.do(ctx, request{method: "GET", path: blob.Marker})
		if err != nil {
			return nil, err
		}
		return w.Body, nil
	}
	if !write {
		return blob.CheckMarker(b.String(), open, nil)
	}
	return blob.CheckMarker(b.String(), open, func() error {
		return b.end(b.do(ctx, request{method: "PUT", path: blob.Marker, body: strings.NewReader(blob.Format)}))
	})
}

// request is what is asked for.
type request struct {
	method, path string
	body         io.ReadSeeker
	fresh        bool  // only where nothing is
	from         int64 // bytes to leave out
	etag         string
}

// tries is how often a request is sent that fails as the network or the server does.
const tries = 4

// passing is the error of a request that may succeed when it is sent again.
type passing struct {
	error
	wait time.Duration // before that, at least
}

func (p *passing) Unwrap() error { return p.error }

// do sends a request, again where its error passes.
func (b *Bucket) do(ctx context.Context, q request) (*http.Response, error) {
	for n := 1; ; n++ {
		w, err := b.once(ctx, q)
		var p *passing
		if !errors.As(err, &p) || n == tries {
			return w, err
		}
		select {
		case <-time.After(max(p.wait, 100*time.Millisecond<<n)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (b *Bucket) once(ctx context.Context, q request) (*http.Response, error) {
	r, body, err := b.request(ctx, q)
	if err != nil {
		return nil, err
	}
	w, err := b.client.Do(r)
	switch {
	case err != nil && body != nil && body.Err != nil:
		return nil, body.Err
	case err != nil && ctx.Err() != nil:
		return nil, b.unanswered(err)
	case err != nil:
		return nil, &passing{error: b.unanswered(err)}
	}
	if err = b.answered(q, w); err == nil {
		return w, nil
	}
	w.Body.Close()
	if !errors.Is(err, blob.ErrRefused) && (w.StatusCode >= 500 || w.StatusCode == http.StatusTooManyRequests) {
		err = &passing{err, retryAfter(w)}
	}
	return nil, err
}

// retryAfter returns for how long a server wants to be left alone, at most 5 s: plans wait for
// lookups.
func retryAfter(w *http.Response) time.Duration {
	const most = 5
	s, _ := strconv.Atoi(w.Header.Get("Retry-After")) // a date, or nothing, is none
	return time.Duration(max(0, min(s, most))) * time.Second
}

func (b *Bucket) request(ctx context.Context, q request) (*http.Request, *blob.Content, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, b.address+q.path, nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Accept-Encoding", "identity") // as what breaks off goes on by its bytes
	if q.fresh {
		r.Header.Set("If-None-Match", "*")
	}
	if q.from > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", q.from))
		r.Header.Set("If-Match", q.etag)
	}
	if q.body == nil {
		return r, nil, nil
	}
	size, err := blob.SizeOf(q.body)
	if err != nil {
		return nil, nil, err
	}
	body := &blob.Content{ReadSeeker: q.body}
	r.Body, r.ContentLength = io.NopCloser(body), size
	if size == 0 {
		r.Body = http.NoBody
	}
	return r, body, nil
}

func (b *Bucket) unanswered(err error) error { return blob.Unanswered(b.String(), "url", err) }

// answered turns a status into an error.
func (b *Bucket) answered(q request, w *http.Response) error {
	switch s := w.StatusCode; {
	case q.from > 0 && s != http.StatusPartialContent:
		return fmt.Errorf("%s: %s: cannot be resumed: %s", b, q.path, w.Status)
	case s >= 200 && s < 300:
		return nil
	case q.method != "PUT" && (s == http.StatusNotFound || s == http.StatusGone):
		return fmt.Errorf("%s: %s: %w", b, q.path, fs.ErrNotExist)
	case q.fresh && s == http.StatusPreconditionFailed:
		return fmt.Errorf("%s: %s: %w", b, q.path, fs.ErrExist)
	case s >= 300 && s < 400:
		return fmt.Errorf("%w: %s: %s of %s: the server redirects (%s) to %q; write the url that takes it", blob.ErrRefused, b, q.method, q.path, w.Status, w.Header.Get("Location"))
	case q.method == "GET" || q.method == "HEAD":
		if blob.IsRefusal(s) {
			return fmt.Errorf("%w: %s: %s of %s: the server says %s; check url, and who may read it (of what it does not have it must say 404)", blob.ErrRefused, b, q.method, q.path, w.Status)
		}
	case blob.IsRefusal(s):
		return fmt.Errorf("%w: %s: %s of %s: the server says %s; check url, and who may write there, or write mode = \"read\"", blob.ErrRefused, b, q.method, q.path, w.Status)
	}
	return fmt.Errorf("%s: %s of %s: the server says %s", b, q.method, q.path, w.Status)
}

// end closes an answer that says nothing but its status.
func (b *Bucket) end(w *http.Response, err error) error {
	if err != nil {
		return err
	}
	return w.Body.Close()
}

// Stat implements blob.Bucket.
func (b *Bucket) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	w, err := b.do(ctx, request{method: "HEAD", path: key.String()})
	if err != nil {
		return blob.Info{}, err
	}
	defer w.Body.Close()
	put, _ := http.ParseTime(w.Header.Get("Last-Modified")) // which a server need not say
	return blob.Info{Key: key, Size: w.ContentLength, Put: put}, nil
}

// Put implements blob.Bucket.
func (b *Bucket) Put(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	return b.end(b.do(ctx, request{method: "PUT", path: key.String(), body: content}))
}

// Create implements blob.Bucket.
func (b *Bucket) Create(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	return b.end(b.do(ctx, request{method: "PUT", path: key.String(), body: content, fresh: true}))
}

// Delete implements blob.Bucket.
func (b *Bucket) Delete(ctx context.Context, key blob.Key) error {
	err := b.end(b.do(ctx, request{method: "DELETE", path: key.String()}))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List implements blob.Bucket: it fails.
func (b *Bucket) List(context.Context, blob.Kind) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		yield(blob.Info{}, fmt.Errorf("%s: what is there cannot be listed over plain HTTP: %w", b, errors.ErrUnsupported))
	}
}
