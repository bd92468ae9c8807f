package pipeline

import "encoding/json"

// Key is what an action is the hash of, read back.
type Key struct {
	Format     int            `json:"format"`
	Stage      string         `json:"stage"`
	Version    int            `json:"version"`
	Attributes map[string]any `json:"attributes"` // as JSON: files are handles, and sensitive values digests
}

// ReadKey reads a preimage. It fails where there is none, as of a record that is gone.
func ReadKey(preimage []byte) (k Key, err error) {
	err = json.Unmarshal(preimage, &k)
	return k, err
}

// Secret reports whether an attribute is sensitive: then so is what came of it.
func (k Key) Secret() bool {
	for _, v := range k.Attributes {
		if IsSensitive(v) {
			return true
		}
	}
	return false
}

// IsSensitive reports whether a value in a key is the digest of a sensitive one.
func IsSensitive(v any) bool {
	m, _ := v.(map[string]any)
	return m["$sensitive"] != nil
}
