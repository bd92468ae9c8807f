// Package seal wraps JSON so that damage to it is found out, wherever it is kept.
package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"eyrie/artifacts"
)

// errDamaged reports bytes that Wrap did not return.
var errDamaged = errors.New("damaged")

// Wrap seals the JSON text body so that any change of the result is found out.
// The result is JSON, too: {"eyrie": kind, "sha256": the body's, "body": body}.
func Wrap(kind string, body []byte) []byte {
	sum := artifacts.Sum(body).String()
	return []byte(`{"eyrie": "` + kind + `", "sha256": "` + sum + `", "body": ` + string(body) + "}\n")
}

// Open returns the body of what Wrap returned for the same kind, and fails for any
// other bytes.
func Open(kind string, b []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(b, []byte(`{"eyrie": "`+kind+`", "sha256": "`))
	if len(rest) < hex.EncodedLen(sha256.Size) {
		return nil, errDamaged
	}
	sum, rest := rest[:hex.EncodedLen(sha256.Size)], rest[hex.EncodedLen(sha256.Size):]
	body, ok1 := bytes.CutPrefix(rest, []byte(`", "body": `))
	body, ok2 := bytes.CutSuffix(body, []byte("}\n"))
	if !ok || !ok1 || !ok2 || artifacts.Sum(body).String() != string(sum) {
		return nil, errDamaged
	}
	return body, nil
}
