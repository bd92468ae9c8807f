package blob

import (
	"errors"
	"io"
)

// Content is what is put, and notes why it could not be read: clients return that as if the
// network had failed, and try again.
type Content struct {
	io.ReadSeeker
	Err error // not io.EOF
}

// Read reads the content.
func (c *Content) Read(b []byte) (int, error) {
	n, err := c.ReadSeeker.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		c.Err = err
	}
	return n, err
}

// SizeOf returns the size of content in bytes, and goes back to its beginning.
func SizeOf(content io.Seeker) (int64, error) {
	size, err := content.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	_, err = content.Seek(0, io.SeekStart)
	return size, err
}
