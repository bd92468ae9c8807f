// Package s3 keeps blobs in a bucket of an S3 server, by way of minio-go.
//
// A blob's key is its path below a prefix, so that a bucket reads as a store's
// directory does. Servers disagree about everything beyond the plainest
// requests, so only those are used: single requests for what is small, parts for
// what is large, and "If-None-Match: *" on single ones alone, since with parts
// most servers ignore it. Checksums in trailers are off, because several servers
// refuse them; whatever is read is verified by the store above.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"eyrie/artifacts/blob"
)

// Config says where a bucket is.
type Config struct {
	Bucket   string
	Prefix   string // of all keys; "" for none
	Endpoint string // "https://host:port"; "" for Amazon's
	Region   string // "" where the server does not ask for one

	// Transport makes the requests; nil for the client's own. Tests put a network
	// that fails here.
	Transport http.RoundTripper
}

// Bucket is a blob.Bucket.
type Bucket struct {
	core   minio.Core
	config Config
	creds  *credentials.Credentials
}

var _ blob.Bucket = (*Bucket)(nil)

// retries is how often a request is sent that fails as the network or the server
// does, with pauses of up to a second.
const retries = 5

// mostIdle is how many connections are kept for the next request: as many as lookups are under
// way, or most of them would connect anew.
const mostIdle = 64

// Open returns the bucket. It asks the server for nothing.
//
// The credentials are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else of
// the profile AWS_PROFILE in ~/.aws/credentials, else those that Amazon gives to its
// machines and tasks. They are in no error.
func Open(c Config) (*Bucket, error) {
	host, secure, err := c.host()
	if err != nil {
		return nil, err
	}
	creds := credentials.New(&chain{Chain: credentials.Chain{Providers: []credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{},
		&credentials.IAM{Client: &http.Client{Timeout: 2 * time.Second}}, // elsewhere nobody answers
	}}})
	if c.Transport == nil {
		t, err := minio.DefaultTransport(secure)
		if err != nil {
			return nil, err
		}
		t.MaxIdleConnsPerHost = mostIdle
		c.Transport = t
	}
	opt := &minio.Options{Creds: creds, Secure: secure, Region: c.Region, Transport: c.Transport, MaxRetries: retries}
	if c.Endpoint != "" { // a server at an address of its own has seldom names for its buckets
		opt.BucketLookup = minio.BucketLookupPath
	}
	client, err := minio.New(host, opt)
	if err != nil {
		return nil, fmt.Errorf("the bucket %s: %w", c.Bucket, err)
	}
	client.SetAppInfo("eyrie", "")
	return &Bucket{minio.Core{Client: client}, c, creds}, nil
}

// chain are places where credentials may be. Where none has any, that is remembered: a bucket
// that everybody may read would be asked for after two seconds each time.
type chain struct {
	credentials.Chain
	none bool
}

func (c *chain) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	v, err := c.Chain.RetrieveWithCredContext(cc)
	c.none = err == nil && v.AccessKeyID == ""
	return v, err
}

func (c *chain) IsExpired() bool { return !c.none && c.Chain.IsExpired() }

// host returns the server's address.
func (c Config) host() (host string, secure bool, err error) {
	if c.Endpoint == "" {
		return "s3.amazonaws.com", true, nil
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "", false, fmt.Errorf("endpoint %q: want http:// or https:// and a host", c.Endpoint)
	case u.User != nil:
		return "", false, errors.New("endpoint: credentials do not belong into an address; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "":
		return "", false, fmt.Errorf("endpoint %q: want a host without a path; bucket and prefix have attributes of their own", c.Endpoint)
	}
	return u.Host, u.Scheme == "https", nil
}

// String returns the bucket's address.
func (b *Bucket) String() string {
	at := "s3://" + path.Join(b.config.Bucket, b.config.Prefix)
	if b.config.Endpoint != "" {
		at += " at " + b.config.Endpoint
	}
	return at
}

func (b *Bucket) name(key fmt.Stringer) string { return path.Join(b.config.Prefix, key.String()) }

// Check asks the server whether the bucket is there and may be read, and with write
// also whether it may be written to. An error that is blob.ErrRefused says what to
// set right; blob.ErrEmpty, that there is nothing to be read yet; any other, that the server
// cannot be reached.
func (b *Bucket) Check(ctx context.Context, write bool) error {
	name := path.Join(b.config.Prefix, blob.Marker)
	open := func() (io.ReadCloser, error) {
		r, _, _, err := b.core.GetObject(ctx, b.config.Bucket, name, minio.GetObjectOptions{})
		return r, b.told(err, reading, blob.Marker)
	}
	if !write {
		return blob.CheckMarker(b.String(), open, nil)
	}
	return blob.CheckMarker(b.String(), open, func() error {
		_, err := b.core.Client.PutObject(ctx, b.config.Bucket, name, strings.NewReader(blob.Format), int64(len(blob.Format)), single())
		return b.told(err, writing, blob.Marker)
	})
}

// operation is what a request was to do, in the words of a message.
type operation string

const (
	reading  operation = "read"
	writing  operation = "write"
	listing  operation = "list"
	removing operation = "remove"
)

// permissions are what a server wants to see allowed, in Amazon's words. Without the right to list,
// Amazon's says AccessDenied of what is not there, too.
var permissions = map[operation]string{
	reading:  "s3:GetObject and s3:ListBucket",
	writing:  "s3:PutObject; or write mode = \"read\"",
	listing:  "s3:ListBucket",
	removing: "s3:DeleteObject",
}

// told turns a server's answer into the errors of a bucket. What servers say has no
// secrets in it, and is cut where it goes on for long.
func (b *Bucket) told(err error, op operation, key string) error {
	if err == nil {
		return nil
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return blob.Unanswered(b.String(), "endpoint", err)
	}
	switch {
	case answer.Code == minio.NoSuchBucket:
		return fmt.Errorf("%w: %s: there is no such bucket; check bucket and endpoint", blob.ErrRefused, b)
	case answer.Code == minio.NoSuchKey || answer.Code == "NoSuchUpload" || answer.Code == "NotFound": // and no other 404: one server says so of a user
		return fmt.Errorf("%s: %s: %w", b, key, fs.ErrNotExist)
	case answer.StatusCode == http.StatusPreconditionFailed:
		return fmt.Errorf("%s: %s: %w", b, key, fs.ErrExist)
	case answer.StatusCode == http.StatusConflict:
		return fmt.Errorf("%w: %s: %s: the server says %s (%s)", errConflict, b, key, answer.Code, brief(answer.Message))
	case blob.IsRefusal(answer.StatusCode):
		return fmt.Errorf("%w: %s: to %s %s: the server says %s (%s); %s", blob.ErrRefused, b, op, key, answer.Code, brief(answer.Message), b.advice(answer, op))
	}
	return fmt.Errorf("%s: to %s %s: the server says %s (%s)", b, op, key, answer.Code, brief(answer.Message))
}

// errConflict reports a request that another one about the same key came in the way of.
var errConflict = errors.New("conflict")

func brief(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// advice says what to check where a server refuses.
func (b *Bucket) advice(answer minio.ErrorResponse, op operation) string {
	if v, err := b.creds.GetWithContext(nil); err == nil && (v.AccessKeyID == "" || v.SecretAccessKey == "") {
		return noCredentials()
	}
	switch answer.Code {
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "XAdminUserNotFound":
		return "check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)"
	case "AccessDenied":
		return "check that the credentials may use the bucket and the prefix: " + permissions[op]
	case "RequestTimeTooSkewed":
		return "check this machine's clock"
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException":
		return "check region and endpoint"
	case "InvalidBucketName":
		return "check bucket"
	}
	if answer.StatusCode < 400 {
		return "it redirects; write the endpoint, or the region, that it redirects to"
	}
	return "check bucket, endpoint, region and credentials"
}

// noCredentials says where credentials were looked for.
func noCredentials() string {
	const set = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
	if p := os.Getenv("AWS_PROFILE"); p != "" {
		return fmt.Sprintf("no credentials were found: ~/.aws/credentials has no keys for the profile %q; %s", p, set)
	}
	return "no credentials were found: " + set
}

// Stat implements blob.Bucket.
func (b *Bucket) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	o, err := b.core.StatObject(ctx, b.config.Bucket, b.name(key), minio.StatObjectOptions{})
	if err != nil {
		return blob.Info{}, b.told(err, reading, key.String())
	}
	return blob.Info{Key: key, Size: o.Size, Put: o.LastModified}, nil
}

// Delete implements blob.Bucket.
func (b *Bucket) Delete(ctx context.Context, key blob.Key) error {
	err := b.told(b.core.RemoveObject(ctx, b.config.Bucket, b.name(key), minio.RemoveObjectOptions{}), removing, key.String())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// List implements blob.Bucket.
func (b *Bucket) List(ctx context.Context, kind blob.Kind) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the listing where yield does
		prefix := path.Join(b.config.Prefix, string(kind)) + "/"
		for o := range b.core.Client.ListObjects(ctx, b.config.Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
			if o.Err != nil {
				yield(blob.Info{}, b.told(o.Err, listing, prefix))
				return
			}
			key, err := blob.ParseKey(string(kind) + "/" + strings.TrimPrefix(o.Key, prefix))
			if err != nil {
				continue // something else lies there
			}
			if !yield(blob.Info{Key: key, Size: o.Size, Put: o.LastModified}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(blob.Info{}, err)
		}
	}
}
