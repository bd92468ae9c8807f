package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/cmd/runner/internal/view"
	"eyrie/nas/unit"
	"eyrie/pipeline"
)

// value is an output of the recipe, as far as known.
type value = pipeline.OutputValue

// plain returns a value as JSON has it: a traced value without its origins, a
// file as its handle and, where store holds it, its path; a file that is in no
// store as its path.
func plain(ctx context.Context, store *store.Store, v any) any {
	switch v := v.(type) {
	case pipeline.Traced:
		return plain(ctx, store, v.Value)
	case artifacts.File:
		if v.Digest.IsZero() { // named in the recipe: only its path is known
			return v.Path
		}
		h := map[string]any{"$object": v.Digest.String(), "size": v.Size}
		if v.Tree {
			h["tree"] = true
		}
		if v.Path != "" {
			h["path"] = v.Path
		} else if f, err := store.Locate(ctx, v); err == nil {
			h["path"] = f.Path
		}
		return h
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plain(ctx, store, e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = plain(ctx, store, e)
		}
		return m
	}
	return v
}

// brief returns a value on one line of about width columns, for people.
func brief(v any, width int) string {
	var b strings.Builder
	writeBrief(&b, v, 4*width)
	return view.Cut(strings.ReplaceAll(b.String(), "\n", "⏎"), width)
}

// writeBrief writes v in the recipe's notation until there are limit bytes.
func writeBrief(b *strings.Builder, v any, limit int) {
	if b.Len() > limit {
		return
	}
	switch v := v.(type) {
	case pipeline.Traced:
		writeBrief(b, v.Value, limit)
	case artifacts.File:
		b.WriteString(fileText(v))
	case string:
		b.WriteString(strconv.Quote(v))
	case float64:
		b.WriteString(numberText(v))
	case []any:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			if writeBrief(b, e, limit); b.Len() > limit {
				return
			}
		}
		b.WriteByte(']')
	case map[string]any:
		if f, ok := artifacts.FileIn(v); ok {
			b.WriteString(fileText(f))
			return
		}
		b.WriteByte('{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(k + " = ")
			if writeBrief(b, v[k], limit); b.Len() > limit {
				return
			}
		}
		b.WriteByte('}')
	default:
		text, err := json.Marshal(v)
		if err != nil {
			text = []byte(fmt.Sprint(v))
		}
		b.Write(text)
	}
}

// spread returns a value on one line where it fits in the width, else with an
// element a line. Long lists are cut short, but not those of text.
func spread(v any, indent string, width int) string {
	const most = 20 // elements
	var b strings.Builder
	writeBrief(&b, v, 4*width)
	if s := b.String(); len(s) <= width {
		return s
	}
	v = bare(v)
	inner := indent + "  "
	var elems []string
	open, end := "[", "]"
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case []any:
		for _, e := range v {
			elems = append(elems, spread(e, inner, width-2))
		}
	case map[string]any:
		open, end = "{", "}"
		for _, k := range slices.Sorted(maps.Keys(v)) {
			elems = append(elems, k+" = "+spread(v[k], inner, width-2))
		}
	default:
		return b.String()
	}
	if n := len(elems) - most; n > 0 && !isText(v) {
		elems = append(elems[:most], fmt.Sprintf("… and %d more", n))
	}
	return open + "\n" + inner + strings.Join(elems, "\n"+inner) + "\n" + indent + end
}

// isText tells a list of strings.
func isText(v any) bool {
	list, ok := v.([]any)
	return ok && !slices.ContainsFunc(list, func(e any) bool {
		_, ok := bare(e).(string)
		return !ok
	})
}

// numberText returns x in full, with an exponent only where that is shorter.
func numberText(x float64) string {
	if a := math.Abs(x); a > 1<<53 || (a < 1e-4 && a > 0) { // beyond 2^53 float64 does not hold every whole number
		return strconv.FormatFloat(x, 'g', -1, 64)
	}
	return strconv.FormatFloat(x, 'f', -1, 64)
}

// fileText names a file by its path, or else by its kind and digest.
func fileText(f artifacts.File) string {
	kind := "file"
	if f.Tree {
		kind = "tree"
	}
	if f.Digest.IsZero() {
		return kind + " " + f.Path
	}
	size := unit.Bytes(max(0, f.Size))
	if f.Path != "" {
		return fmt.Sprintf("%s (%s)", f.Path, size)
	}
	return fmt.Sprintf("%s %s %s", kind, size, f.Digest.String()[:12])
}

// indented returns v as JSON on as many lines as it takes.
func indented(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
