package relay

import (
	"bytes"
	"io"
	"os"
	"slices"
)

// tail reads what is added to a file.
type tail struct {
	path string
	read int64
	held []byte // what was read and is not done with
}

// mostPart is how much of a log is sent at a time.
const mostPart = 4 << 20

// pending returns what was added and is not done with.
func (t *tail) pending() []byte {
	if len(t.held) < mostPart {
		t.held = append(t.held, t.readMore(mostPart-len(t.held))...)
	}
	return t.held
}

func (t *tail) done(n int) { t.held = t.held[n:] }

// more returns the whole lines that were added, or at the end all.
func (t *tail) more(end bool) []byte {
	for {
		b := t.readMore(mostPart)
		t.held = append(t.held, b...)
		if len(b) == 0 {
			break
		}
	}
	whole := bytes.LastIndexByte(t.held, '\n') + 1
	if end {
		whole = len(t.held)
	}
	lines := slices.Clone(t.held[:whole])
	t.done(whole)
	return lines
}

func (t *tail) readMore(most int) []byte {
	f, err := os.Open(t.path)
	if err != nil {
		return nil // it is not there yet
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, t.read, int64(most)))
	if err != nil {
		return nil
	}
	t.read += int64(len(b))
	return b
}
