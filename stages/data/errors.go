package data

import "errors"

// Errors of damaged input, wrapped with the place.
var (
	ErrTruncated = errors.New("truncated")
	ErrMagic     = errors.New("wrong magic number")
	ErrCount     = errors.New("counts differ")
	ErrTooLarge  = errors.New("larger than allowed")
)
