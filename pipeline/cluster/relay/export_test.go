package relay

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"eyrie/artifacts/blob"
)

// Saying is what an element says, and who hears it.
type Saying struct {
	session *session
	reader  *reader
	dir     string
}

// NewSaying returns an element that says something by way of a bucket.
func NewSaying(bucket blob.Bucket) *Saying {
	dir, err := os.MkdirTemp("", "saying")
	if err != nil {
		panic(err)
	}
	b := &box{bucket: bucket, batch: "eyrie-a", token: []byte("token")}
	return &Saying{&session{box: b, next: 1}, &reader{box: b, path: filepath.Join(dir, "0"), next: 1}, dir}
}

// Say says a word, with those before it that did not arrive.
func (s *Saying) Say(ctx context.Context, word string) (err error) {
	s.session.said = append(s.session.said, word+"\n"...)
	for err = s.session.send(ctx); err == nil && (s.session.part != nil || len(s.session.said) > 0); {
		err = s.session.send(ctx)
	}
	return err
}

// Heard returns all that was heard.
func (s *Saying) Heard(ctx context.Context) string {
	if _, err := s.reader.receive(ctx); err != nil {
		return err.Error()
	}
	b, _ := os.ReadFile(filepath.Join(s.dir, "0.0.events"))
	return strings.Join(strings.Fields(string(b)), " ")
}
