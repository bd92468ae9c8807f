package site

import (
	"path"
	"strings"

	"eyrie/hcl/internal/word"
)

// Cache is a cache block: where results are that a team shares.
type Cache struct {
	Kind string // "s3" or "http"
	Name string

	Bucket, Prefix, Endpoint, Region string // of "s3"
	URL                              string // of "http"

	Write bool     // mode = "read-write"
	Trust []string // public keys
	Sign  string   // path of a private key, for whoever writes; "" for none

	pos func(attribute string) string
}

// Pos returns where an attribute of the block is, or else the block, as "site.hcl:4".
func (c *Cache) Pos(attribute string) string {
	if c.pos == nil { // it was written elsewhere, and is on a node now
		return "the site file"
	}
	return c.pos(attribute)
}

// The kinds of caches.
const (
	S3   = "s3"
	HTTP = "http"
)

// The modes of a cache, the default first.
const modeRead, modeReadWrite = "read", "read-write"

func readCache(s *Site, b *block) {
	labels, ok := b.labels(S3, "team")
	if !ok {
		return
	}
	c := Cache{Kind: labels[0], Name: labels[1], pos: b.pos}
	switch c.Kind {
	case S3:
		c.Bucket = b.bucket()
		c.Prefix, c.Endpoint, c.Region = b.prefix(), b.text("endpoint"), b.text("region")
	case HTTP:
		c.URL = b.needed("url", "https://cache.example.org/eyrie")
	default:
		kinds := []string{HTTP, S3}
		b.report(b.LabelRanges[0], "Unknown cache", "A cache is one of %s, and no %q.%s", word.Quote(kinds), c.Kind, word.DidYouMean(c.Kind, kinds))
		return
	}
	c.Write = b.choice("mode", modeRead, modeReadWrite) == modeReadWrite
	c.Trust, c.Sign = b.list("trust"), b.file("sign")
	if b.end(); c.Sign != "" && b.Body.Attributes["mode"] == nil { // where it is written, it may be another one in CI
		b.report(b.Body.Attributes["sign"].NameRange, "Nothing to sign", "Results are signed when they are published; write mode = %q, or leave sign out.", modeReadWrite)
	}
	for _, other := range s.Caches {
		if other.Name == c.Name {
			b.report(b.LabelRanges[1], "Name written twice", "There is another cache %q at %s.", c.Name, other.Pos(""))
		} else if c.place() == other.place() && c.Bucket+c.URL != "" {
			b.report(b.TypeRange, "Cache written twice", "This is where cache %q at %s is. Write one block for both.", other.Name, other.Pos(""))
		}
	}
	s.Caches = append(s.Caches, c)
}

// place tells caches apart by where they are.
func (c *Cache) place() [4]string {
	return [...]string{c.Bucket, c.Prefix, strings.TrimSuffix(c.Endpoint, "/"), strings.TrimSuffix(c.URL, "/")}
}

// bucket is the name of a bucket.
func (b *block) bucket() string {
	name := b.needed("bucket", "results")
	if strings.ContainsAny(name, "/:") {
		b.report(b.Body.Attributes["bucket"].Expr.Range(), "Wrong value", "bucket: want the name alone, such as %q, not %q; what is below it is the prefix.", "results", name)
	}
	return name
}

// prefix is the path of a directory in a bucket.
func (b *block) prefix() string {
	text := b.text("prefix")
	p := strings.Trim(text, "/")
	if p != "" && (path.Clean(p) != p || p == "." || p == ".." || strings.HasPrefix(p, "../")) {
		b.report(b.Body.Attributes["prefix"].Expr.Range(), "Wrong value", "prefix: want a path in the bucket such as %q, not %q.", "nas/results", text)
	}
	return p
}
