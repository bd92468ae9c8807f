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
	const most = 4 << 20 // at a time
	b, err := io.ReadAll(io.LimitReader(io.NewSectionReader(f, t.read, 1<<62), most))
	if err != nil {
		return nil
	}
	last := bytes.LastIndexByte(b, '\n') + 1
	if end || last == 0 && len(b) == most {
		last = len(b)
	}
	t.read += int64(last)
	if last == 0 {
		return nil
	}
	return bytes.Split(bytes.TrimSuffix(b[:last], []byte("\n")), []byte("\n"))
}
