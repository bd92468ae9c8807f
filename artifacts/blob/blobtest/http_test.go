package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts/blob"
)

// The interface fits what is behind a network: a bucket over plain HTTP is a page,
// and passes. It lists in pages, as servers do.
func TestHTTP(t *testing.T) {
	Run(t, func(t *testing.T) blob.Bucket {
		server := httptest.NewServer(serve(new(Mem)))
		t.Cleanup(server.Close)
		return overHTTP{server.URL + "/"}
	})
}

// overHTTP is a bucket whose blobs are resources below url.
type overHTTP struct{ url string }

func (h overHTTP) do(ctx context.Context, method, path string, body io.ReadSeeker, header ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, h.url+path, nil)
	if err != nil {
		return nil, err
	}
	if body != nil {
		size, err1 := body.Seek(0, io.SeekEnd)
		_, err2 := body.Seek(0, io.SeekStart)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		r.Body, r.ContentLength = io.NopCloser(body), size
		if size == 0 {
			r.Body = http.NoBody
		}
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	switch w.StatusCode {
	case http.StatusOK:
		return w, nil
	case http.StatusNotFound:
		err = fs.ErrNotExist
	case http.StatusPreconditionFailed:
		err = fs.ErrExist
	default:
		err = errors.New(w.Status)
	}
	w.Body.Close()
	return nil, fmt.Errorf("%s %s: %w", method, path, err)
}

// end closes an answer that says nothing but its status.
func (h overHTTP) end(w *http.Response, err error) error {
	if err != nil {
		return err
	}
	return w.Body.Close()
}

func (h overHTTP) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	w, err := h.do(ctx, "HEAD", key.String(), nil)
	if err != nil {
		return blob.Info{}, err
	}
	defer w.Body.Close()
	put, err := http.ParseTime(w.Header.Get("Last-Modified"))
	return blob.Info{Key: key, Size: w.ContentLength, Put: put}, err
}

func (h overHTTP) Open(ctx context.Context, key blob.Key) (io.ReadCloser, error) {
	w, err := h.do(ctx, "GET", key.String(), nil)
	if err != nil {
		return nil, err
	}
	return w.Body, nil
}

func (h overHTTP) Put(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	return h.end(h.do(ctx, "PUT", key.String(), content))
}

func (h overHTTP) Create(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	return h.end(h.do(ctx, "PUT", key.String(), content, "If-None-Match", "*"))
}

func (h overHTTP) Delete(ctx context.Context, key blob.Key) error {
	return h.end(h.do(ctx, "DELETE", key.String(), nil))
}

func (h overHTTP) List(ctx context.Context, kind blob.Kind) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for after := ""; ; {
			w, err := h.do(ctx, "GET", string(kind)+"?after="+after, nil)
			if err != nil {
				yield(blob.Info{}, err)
				return
			}
			page, err := io.ReadAll(w.Body)
			w.Body.Close()
			if err == nil && len(page) == 0 {
				return
			}
			for line := range strings.Lines(string(page)) {
				var info blob.Info
				if err == nil {
					var put int64
					_, err = fmt.Sscan(line, &after, &info.Size, &put)
					info.Put = time.Unix(0, put)
				}
				if err == nil {
					info.Key, err = blob.ParseKey(after)
				}
				if !yield(info, err) || err != nil {
					return
				}
			}
		}
	}
}

// serve is a server of a bucket.
func serve(b *Mem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, "/")
		if after, ok := r.URL.Query()["after"]; ok {
			servePage(w, r, b, blob.Kind(path), after[0])
			return
		}
		key, err := blob.ParseKey(path)
		if err == nil {
			err = serveBlob(w, r, b, key)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			w.WriteHeader(http.StatusNotFound)
		case errors.Is(err, fs.ErrExist):
			w.WriteHeader(http.StatusPreconditionFailed)
		case err != nil:
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
}

func serveBlob(w http.ResponseWriter, r *http.Request, b *Mem, key blob.Key) error {
	switch r.Method {
	case "PUT":
		content, err := io.ReadAll(r.Body) // fails where fewer bytes come than were promised
		if err != nil {
			return err
		}
		if r.Header.Get("If-None-Match") == "*" {
			return b.Create(r.Context(), key, bytes.NewReader(content))
		}
		return b.Put(r.Context(), key, bytes.NewReader(content))
	case "DELETE":
		return b.Delete(r.Context(), key)
	}
	is, err := b.get(r.Context(), key)
	if err == nil {
		http.ServeContent(w, r, "blob", is.put, bytes.NewReader(is.content))
	}
	return err
}

// servePage answers with the first hundred blobs behind one.
func servePage(w io.Writer, r *http.Request, b *Mem, kind blob.Kind, after string) {
	page := map[string]string{}
	for info, err := range b.List(r.Context(), kind) {
		if key := info.Key.String(); err == nil && key > after {
			page[key] = fmt.Sprintln(key, info.Size, info.Put.UnixNano())
		}
	}
	for i, key := range slices.Sorted(maps.Keys(page)) {
		if i < 100 {
			io.WriteString(w, page[key])
		}
	}
}
