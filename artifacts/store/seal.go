package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"eyrie/artifacts"
)

// errSeal reports bytes that seal did not write.
var errSeal = errors.New("damaged")

// seal wraps the JSON text body so that any change of the result is found out.
// The result is JSON, too: {"eyrie": kind, "sha256": the body's, "body": body}.
func seal(kind string, body []byte) []byte {
	sum := artifacts.Sum(body).String()
	return []byte(`{"eyrie": "` + kind + `", "sha256": "` + sum + `", "body": ` + string(body) + "}\n")
}

// unseal returns the body of what seal wrote.
func unseal(kind string, b []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(b, []byte(`{"eyrie": "`+kind+`", "sha256": "`))
	if len(rest) < hex.EncodedLen(sha256.Size) {
		return nil, errSeal
	}
	sum, rest := rest[:hex.EncodedLen(sha256.Size)], rest[hex.EncodedLen(sha256.Size):]
	body, ok1 := bytes.CutPrefix(rest, []byte(`", "body": `))
	body, ok2 := bytes.CutSuffix(body, []byte("}\n"))
	if !ok || !ok1 || !ok2 || artifacts.Sum(body).String() != string(sum) {
		return nil, errSeal
	}
	return body, nil
}
