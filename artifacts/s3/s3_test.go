package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/blob/blobtest"
	"eyrie/artifacts/s3"
	"eyrie/artifacts/s3/s3test"
	"eyrie/artifacts/team"
)

func open(t testing.TB, c s3.Config) *s3.Bucket {
	t.Helper()
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	b, err := s3.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A bucket of a real server is a bucket, with and without a prefix.
func TestBucket(t *testing.T) {
	server := s3test.Start(t)
	n := 0
	for _, prefix := range []string{"", "team/nas"} {
		t.Run("prefix="+prefix, func(t *testing.T) {
			blobtest.Run(t, func(t *testing.T) blob.Bucket {
				n++
				name := fmt.Sprint("bucket-", n)
				server.Bucket(t, name)
				return open(t, s3.Config{Bucket: name, Prefix: prefix, Endpoint: server.Endpoint()})
			})
		})
	}
}

// What is wrong with a bucket is told before it is used, with what to check, and without
// the secret.
func TestCheck(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "there")
	ctx := t.Context()
	config := s3.Config{Bucket: "there", Endpoint: server.Endpoint()}
	if err := open(t, config).Check(ctx, false); !errors.Is(err, blob.ErrEmpty) {
		t.Errorf("before anything was published: %v", err)
	}
	for _, write := range []bool{true, true, false} {
		if err := open(t, config).Check(ctx, write); err != nil {
			t.Errorf("write %v: %v", write, err)
		}
	}
	refused := func(want string, c s3.Config) {
		t.Helper()
		err := open(t, c).Check(ctx, false)
		if !errors.Is(err, blob.ErrRefused) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), os.Getenv("AWS_SECRET_ACCESS_KEY")) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	refused("no such bucket", s3.Config{Bucket: "not-there", Endpoint: server.Endpoint()})
	refused(`write endpoint = "http://`, s3.Config{Bucket: "there", Endpoint: "https://" + server.Address})
	refused("check region", s3.Config{Bucket: "there", Endpoint: server.Endpoint(), Region: "eu-north-9"})
	t.Setenv("AWS_ACCESS_KEY_ID", "unknown")
	refused("check the credentials", config)
	t.Setenv("AWS_ACCESS_KEY_ID", s3test.Key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
	refused("check the credentials", config)
	// Nobody listens there: that is not refused, as a network may come back.
	err := open(t, s3.Config{Bucket: "there", Endpoint: "http://127.0.0.1:1"}).Check(ctx, false)
	if err == nil || errors.Is(err, blob.ErrRefused) {
		t.Errorf("offline: %v", err)
	}
}

// Where a server refuses, the message says what it was to do, and what has to be allowed or written.
func TestRefusals(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret-of-anybody")
	for _, test := range []struct {
		method string
		status int
		code   string
		want   string
	}{
		{"GET", 403, "AccessDenied", "s3:GetObject and s3:ListBucket"},
		{"PUT", 403, "AccessDenied", `s3:PutObject; or write mode = "read"`},
		{"GET", 403, "ExpiredToken", "check the credentials"},
		{"GET", 403, "RequestTimeTooSkewed", "check this machine's clock"},
		{"GET", 301, "PermanentRedirect", "check region and endpoint"},
		{"GET", 307, "", "write the endpoint"},
		{"GET", 501, "NotImplemented", "check bucket, endpoint"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			status, code := http.StatusNotFound, "NoSuchKey"
			if r.Method == test.method {
				status, code = test.status, test.code
			}
			w.WriteHeader(status)
			if code != "" {
				fmt.Fprintf(w, "<Error><Code>%s</Code><Message>said so</Message></Error>", code)
			}
		}))
		err := open(t, s3.Config{Bucket: "results", Endpoint: server.URL, Region: "r"}).Check(t.Context(), true)
		if err == nil || !errors.Is(err, blob.ErrRefused) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %d %s: %v, want %q", test.method, test.status, test.code, err, test.want)
		}
		server.Close()
	}
}

// An address that is none is refused with what to write.
func TestEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{
		"minio.example:9000":            "want http:// or https://",
		"https://key:secret@s3.example": "credentials do not belong",
		"https://s3.example/bucket":     "without a path",
	} {
		_, err := s3.Open(s3.Config{Bucket: "b", Endpoint: endpoint})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", endpoint, err)
		}
	}
}

// cutting is a network that breaks each answer off after some bytes.
type cutting struct {
	after int64
	cuts  atomic.Int64
}

func (c *cutting) RoundTrip(r *http.Request) (*http.Response, error) {
	w, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && r.Method == "GET" && w.ContentLength > c.after {
		c.cuts.Add(1)
		w.Body = &cut{w.Body, io.LimitReader(w.Body, c.after)}
	}
	return w, err
}

type cut struct {
	io.Closer
	io.Reader
}

// A large object goes up in parts, and comes down whole over connections that break again
// and again.
func TestResumes(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "large")
	network := &cutting{after: 20 << 20}
	b := open(t, s3.Config{Bucket: "large", Endpoint: server.Endpoint(), Transport: network})
	content := make([]byte, 150<<20)
	rand.Read(content)
	key := blob.Key{Kind: blob.Object, Hash: artifacts.Sum(content)}
	if err := b.Put(t.Context(), key, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	r, err := b.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if n := network.cuts.Load(); n != 7 {
		t.Errorf("the network broke %d times, want 7", n)
	}
}

// What whoever was killed in the middle of an upload leaves is found, and removed.
func TestUnfinishedUploads(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "uploads")
	core, err := minio.NewCore(server.Address, &minio.Options{Creds: credentials.NewStaticV4(s3test.Key, s3test.Secret, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath})
	if err != nil {
		t.Fatal(err)
	}
	key := blob.Key{Kind: blob.Object, Hash: artifacts.Sum([]byte("a"))}
	for _, name := range []string{"nas/" + key.String(), "nas/objects/other", key.String()} {
		id, err := core.NewMultipartUpload(t.Context(), "uploads", name, minio.PutObjectOptions{})
		if err == nil {
			_, err = core.PutObjectPart(t.Context(), "uploads", name, id, 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, s3.Config{Bucket: "uploads", Prefix: "nas", Endpoint: server.Endpoint()})
	all := func() (found []blob.Upload) {
		for u, err := range b.Uploads(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, u)
		}
		return found
	}
	found := all()
	if len(found) != 1 || found[0].Key != key || time.Since(found[0].Begun) > time.Hour {
		t.Fatalf("%+v", found)
	}
	g, err := team.FindGarbage(t.Context(), team.Source{Bucket: b}, time.Now(), time.Time{})
	if err != nil || len(g.Uploads) != 0 || g.Unlisted != nil {
		t.Errorf("a young one: %+v, %v", g, err)
	}
	if g, err = team.FindGarbage(t.Context(), team.Source{Bucket: b}, time.Now().Add(9*24*time.Hour), time.Time{}); err != nil || len(g.Uploads) != 1 {
		t.Fatalf("an old one: %+v, %v", g, err)
	}
	for range 2 { // the second time it is gone, which is no mistake
		if err := g.Remove(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if left := all(); len(left) > 0 {
		t.Errorf("%+v", left)
	}
}

// What is not resumed, because the object is another one by now, is an error.
func TestChangedMeanwhile(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "changing")
	b := open(t, s3.Config{Bucket: "changing", Endpoint: server.Endpoint(), Transport: &cutting{after: 1000}})
	key := blob.Key{Kind: blob.Object}
	for _, c := range []string{"a", "b"} {
		if err := b.Put(t.Context(), key, strings.NewReader(strings.Repeat(c, 5000))); err != nil {
			t.Fatal(err)
		}
		if c == "b" {
			break
		}
		r, err := b.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer func() {
			if got, err := io.ReadAll(r); err == nil || bytes.Contains(got, []byte("b")) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		}()
	}
	if _, err := b.Open(context.Background(), blob.Key{Kind: blob.Action}); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
