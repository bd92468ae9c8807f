package blob

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Marker is the name of what says that a bucket is a store's, and Format what is in it. The
// number changes with the layout, so that an older program does not misread a newer bucket.
const Marker, Format = "eyrie-format", "eyrie cache 1\n"

// CheckMarker looks at the marker of the bucket at an address. Where nothing was published yet
// there is none. put puts it, and so finds out whether the bucket may be written to; it is nil
// for a bucket that is only read.
func CheckMarker(address string, open func() (io.ReadCloser, error), put func() error) error {
	r, err := open()
	if err == nil {
		defer r.Close()
		err = checkFormat(address, r)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if put == nil {
		return nil
	}
	return put()
}

func checkFormat(address string, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, 100))
	if err == nil && string(text) != Format {
		return fmt.Errorf("%w: %s: %s says %q, and this program knows %q: another program's bucket, or a newer format", ErrRefused, address, Marker, text, Format)
	}
	return err
}
