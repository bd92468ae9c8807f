// Package s3test starts a real S3 server for tests: versitygw, which
// scripts/test-needs installs.
package s3test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Credentials that the server takes.
const (
	Key    = "eyrie-test"
	Secret = "not-a-secret-of-anybody"
)

// Server is a server that ends with the test.
type Server struct {
	Address string // host:port
	Dir     string // of its buckets, each a directory
	client  *minio.Client
}

// Endpoint returns the server's address as a site file has it.
func (s *Server) Endpoint() string { return "http://" + s.Address }

// Start starts a server, and gives the test's process, and what it starts, the
// credentials for it. Where versitygw is not installed the test is skipped, and fails
// under CI=true.
func Start(t testing.TB) *Server {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	program := filepath.Join(filepath.Dir(here), "../../../data/bin/versitygw")
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("versitygw is not installed; scripts/test-needs installs it")
	}
	setenv(t, "AWS_ACCESS_KEY_ID", Key)
	setenv(t, "AWS_SECRET_ACCESS_KEY", Secret)
	setenv(t, "AWS_SESSION_TOKEN", "")
	s := &Server{Address: freePort(t), Dir: t.TempDir()}
	cmd := exec.Command(program, "--quiet", "--port", s.Address, "posix", s.Dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+Key, "ROOT_SECRET_KEY="+Secret)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s", log.String())
		}
	})
	s.await(t)
	var err error
	s.client, err = minio.New(s.Address, &minio.Options{Creds: credentials.NewStaticV4(Key, Secret, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// setenv is t.Setenv, also in parallel tests: all set the same.
func setenv(t testing.TB, name, value string) {
	if os.Getenv(name) != value {
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// await waits until the server takes connections.
func (s *Server) await(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", s.Address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// Bucket makes a bucket of this name.
func (s *Server) Bucket(t testing.TB, name string) {
	t.Helper()
	if err := s.client.MakeBucket(context.Background(), name, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
}

// freePort returns an address that nobody listens on.
func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
