package export

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"eyrie/artifacts"
)

// fragment returns a name as a part of an identifier or of a file's name: no two names
// give the same.
func fragment(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.' && i > 0:
			b.WriteRune(r)
		case r == '.': // of a hidden file, or of a path upwards
			b.WriteString("_2e_")
		default:
			fmt.Fprintf(&b, "_%x_", r)
		}
	}
	return b.String()
}

// namedInformation returns a digest as RFC 6920 writes it.
func namedInformation(d artifacts.Digest) string { return base64.RawURLEncoding.EncodeToString(d[:]) }

// inJSON returns a value as text.
func inJSON(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
