package web_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"eyrie/artifacts/blob"
	"eyrie/artifacts/blob/blobtest"
	"eyrie/artifacts/web"
)

// What plain HTTP can do it does as a bucket must. It cannot list: that is left to what the
// server keeps.
func TestBucket(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Bucket {
		kept := new(blobtest.Mem)
		server := httptest.NewServer(serve(kept))
		t.Cleanup(server.Close)
		return listed{open(t, server.URL+"/cache/"), kept}
	})
}

func open(t *testing.T, address string) *web.Bucket {
	t.Helper()
	b, err := web.Open(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type listed struct {
	*web.Bucket
	kept *blobtest.Mem
}

func (l listed) List(ctx context.Context, kind blob.Kind) iter.Seq2[blob.Info, error] {
	return l.kept.List(ctx, kind)
}

// A mistake in the address, a server that refuses and one that is not there are told apart.
func TestCheck(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusNotFound)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer server.Close()
	b := open(t, server.URL)
	if err := b.Check(t.Context(), false); !errors.Is(err, blob.ErrEmpty) {
		t.Errorf("an empty one: %v", err)
	}
	if err := b.Check(t.Context(), true); err == nil {
		t.Error("nothing can be put there, and that is no error")
	}
	if err := b.Check(t.Context(), true); !errors.Is(err, blob.ErrRefused) {
		t.Errorf("what is put is not found there: %v", err)
	}
	status.Store(http.StatusForbidden)
	if err := b.Check(t.Context(), false); !errors.Is(err, blob.ErrRefused) {
		t.Errorf("403: %v", err)
	}
	if err := open(t, "http://127.0.0.1:1").Check(t.Context(), false); err == nil || errors.Is(err, blob.ErrRefused) {
		t.Errorf("nobody there: %v", err)
	}
	for _, address := range []string{"", "cache.example", "ftp://cache.example", "https://a:secret@cache.example/x"} {
		if _, err := web.Open(address, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// A server that will never do what it is asked to is told from one that is in trouble, with what it
// said; and one that says yes and keeps nothing, or sends a writer elsewhere, is not taken for a cache.
func TestWontDo(t *testing.T) {
	for _, test := range []struct {
		put, get int // statuses
		refused  bool
		want     string
	}{
		{http.StatusOK, http.StatusNotFound, true, "does not have it afterwards"},
		{http.StatusMovedPermanently, http.StatusNotFound, true, "redirects (301 Moved Permanently)"},
		{http.StatusFound, http.StatusNotFound, true, "https://elsewhere.example/"},
		{http.StatusTemporaryRedirect, http.StatusNotFound, true, "redirects"},
		{http.StatusMethodNotAllowed, http.StatusNotFound, true, `write mode = "read"`},
		{http.StatusNotFound, http.StatusNotFound, true, `write mode = "read"`},
		{http.StatusNotImplemented, http.StatusNotFound, true, `write mode = "read"`},
		{http.StatusOK, http.StatusForbidden, true, "must say 404"},
		{http.StatusServiceUnavailable, http.StatusNotFound, false, "503"},
		{http.StatusTooManyRequests, http.StatusNotFound, false, "429"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == "PUT" {
				w.Header().Set("Location", "https://elsewhere.example/")
				w.WriteHeader(test.put)
			} else {
				w.WriteHeader(test.get)
			}
		}))
		err := open(t, server.URL).Check(t.Context(), true)
		if err == nil || errors.Is(err, blob.ErrRefused) != test.refused || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%d, %d: %v, want %q", test.put, test.get, err, test.want)
		}
		server.Close()
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if err := open(t, strings.Replace(server.URL, "http:", "https:", 1)).Check(t.Context(), false); !errors.Is(err, blob.ErrRefused) || !strings.Contains(err.Error(), `write url = "http://`) {
		t.Errorf("https where http is spoken: %v", err)
	}
}

// A server that is busy says for how long, and is asked again no earlier.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []time.Time
		b, err := web.Open("https://cache.example", answers(func(*http.Request) *http.Response {
			asked = append(asked, time.Now())
			if len(asked) < 3 {
				return &http.Response{StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"3"}}, Body: http.NoBody}
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Stat(t.Context(), blob.Key{Kind: blob.Object}); err != nil || len(asked) != 3 || asked[2].Sub(asked[0]) != 6*time.Second {
			t.Errorf("%v, %v", asked, err)
		}
	})
}

type answers func(*http.Request) *http.Response

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// Whoever reads is sent on: a mirror may lie elsewhere.
func TestFollows(t *testing.T) {
	kept := new(blobtest.Mem)
	at := httptest.NewServer(serve(kept))
	defer at.Close()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, at.URL+r.URL.Path, http.StatusFound)
	}))
	defer front.Close()
	key := blob.Key{Kind: blob.Object}
	if err := kept.Put(t.Context(), key, strings.NewReader("content")); err != nil {
		t.Fatal(err)
	}
	b := open(t, front.URL+"/cache")
	if info, err := b.Stat(t.Context(), key); err != nil || info.Size != 7 {
		t.Errorf("%v, %v", info, err)
	}
	if err := b.Put(t.Context(), key, strings.NewReader("other")); !errors.Is(err, blob.ErrRefused) {
		t.Errorf("Put: %v", err)
	}
}

// cut serves content, and breaks each connection off after a thousand bytes.
type cut struct{ http.ResponseWriter }

func (c cut) Write(b []byte) (int, error) {
	if len(b) > 1000 {
		c.ResponseWriter.Write(b[:1000])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(b)
}

// A download goes on where it broke off.
func TestResumes(t *testing.T) {
	content := strings.Repeat("eyrie ", 1000)
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(cut{w}, r, "blob", time.Time{}, strings.NewReader(content))
	}))
	defer server.Close()
	r, err := open(t, server.URL).Open(t.Context(), blob.Key{Kind: blob.Object})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != content {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n := requests.Load(); n != 6 {
		t.Errorf("%d requests, want 6", n)
	}
}

// serve is a server of a bucket.
func serve(b *blobtest.Mem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, err := blob.ParseKey(strings.TrimPrefix(r.URL.Path, "/cache/"))
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

func serveBlob(w http.ResponseWriter, r *http.Request, b *blobtest.Mem, key blob.Key) error {
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
	info, err := b.Stat(r.Context(), key)
	if err != nil {
		return err
	}
	content, err := b.Open(r.Context(), key)
	if err != nil {
		return err
	}
	defer content.Close()
	all, err := io.ReadAll(content)
	if err == nil {
		http.ServeContent(w, r, "blob", info.Put, bytes.NewReader(all))
	}
	return err
}
