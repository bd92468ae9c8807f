package cluster

import (
	"bytes"
	"io"
	"os"
)

// tail reads what is added to a file that another machine writes. Before each look the file is
// opened anew, because network file systems show what was written elsewhere to those who open
// a file, not to those who have it open.
type tail struct {
	path string
	read int64
}

// lines returns the complete lines that were added, or at the end also one that is not.
func (t *tail) lines(end bool) [][]byte {
	f, err := os.Open(t.path)
	if err != nil {
		return nil // it is not there yet
	}
	defer f.Close()
	b, last := t.part(f)
	if end || last == 0 && len(b) == longest {
		last = len(b)
	}
	t.read += int64(last)
	if last == 0 {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(b[:last], []byte("\n")), []byte("\n"))
}

// How much is read at a time, unless a line is longer: a result can be. What has no end of line
// after longest is cut there.
const atOnce, longest = 4 << 20, 256 << 20

// part returns what was added, as far as it is read at once, and where its last line ends.
func (t *tail) part(f *os.File) (b []byte, last int) {
	for most := atOnce; ; most *= 4 {
		b, err := io.ReadAll(io.NewSectionReader(f, t.read, int64(most)))
		if err != nil {
			return nil, 0
		}
		if last = bytes.LastIndexByte(b, '\n') + 1; last > 0 || len(b) < most || most == longest {
			return b, last
		}
	}
}
