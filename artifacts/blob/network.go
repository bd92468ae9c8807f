package blob

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// Unanswered explains an error of a request that got no answer. The attribute is the one of the site
// file that says the address. The result is ErrRefused where a server is there and cannot be talked
// to: then neither another try nor another network helps.
func Unanswered(address, attribute string, err error) error {
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert):
		return fmt.Errorf("%w: %s: %w; check %s, and this machine's certificates", ErrRefused, address, cert, attribute)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w: %s: the server speaks plain HTTP; write %s = \"http://…\"", ErrRefused, address, attribute)
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the address, which is long and is said already
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer in time (%w)", address, err)
	}
	return fmt.Errorf("%s: %w", address, err)
}

// IsRefusal reports whether a server that answers with an HTTP status will do so however often it is asked.
func IsRefusal(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return false
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return true
	}
	return status >= 300 && status < 500
}
