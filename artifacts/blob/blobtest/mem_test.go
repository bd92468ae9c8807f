package blobtest

import (
	"testing"

	"eyrie/artifacts/blob"
)

func TestMem(t *testing.T) {
	Run(t, func(*testing.T) blob.Bucket { return new(Mem) })
}
