package artifacts

import (
	"bytes"
	"errors"
)

// errSeal reports bytes that seal did not write.
var errSeal = errors.New("damaged")

// seal wraps the JSON text body so that any change of the result is found out.
// The result is JSON, too: {"eyrie": kind, "sha256": the body's, "body": body}.
func seal(kind string, body []byte) []byte {
	sum := Sum(body).String()
	return []byte(`{"eyrie": "` + kind + `", "sha256": "` + sum + `", "body": ` + string(body) + "}\n")
}

// unseal returns the body of what seal wrote.
func unseal(kind string, b []byte) ([]byte, error) {
	head := len(seal(kind, nil)) - len("}\n")
	if len(b) < head+len("}\n") {
		return nil, errSeal
	}
	body := b[head : len(b)-len("}\n")]
	if !bytes.Equal(seal(kind, body), b) {
		return nil, errSeal
	}
	return body, nil
}
