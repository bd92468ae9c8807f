package data

import (
	"errors"

	"eyrie/nas/data/picture"
)

// Errors of damaged input, wrapped with the place.
var (
	ErrTruncated = errors.New("truncated")
	ErrMagic     = errors.New("wrong magic number")
	ErrCount     = errors.New("counts differ")
	ErrTooLarge  = picture.ErrTooLarge
	ErrChanged   = errors.New("not what the data set was made of")
)
