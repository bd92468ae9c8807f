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

// ErrEmpty reports a bucket that nothing has been published to. To somebody who only reads, it may
// mean that the bucket or the prefix is misspelt.
var ErrEmpty = errors.New("nothing has been published there yet; if there should be results, check its address in the site file")

// CheckMarker looks at the marker of the bucket at an address, and fails with ErrEmpty where
// there is none. put puts it; it is nil for a bucket that is only read. What was put is read
// back, because some servers say yes to everything.
func CheckMarker(address string, open func() (io.ReadCloser, error), put func() error) error {
	err := checkFormat(address, open)
	if put == nil || err != nil && !errors.Is(err, ErrEmpty) {
		return err
	}
	if err := put(); err != nil {
		return err
	}
	if err = checkFormat(address, open); errors.Is(err, ErrEmpty) {
		return fmt.Errorf("%w: %s: the server takes what is put there and does not have it afterwards", ErrRefused, address)
	}
	return err
}

func checkFormat(address string, open func() (io.ReadCloser, error)) error {
	r, err := open()
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", address, ErrEmpty)
	} else if err != nil {
		return err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, 100))
	if err == nil && string(text) != Format {
		return fmt.Errorf("%w: %s: %s says %q, and this program knows %q: another program's bucket, or a newer format", ErrRefused, address, Marker, text, Format)
	}
	return err
}
