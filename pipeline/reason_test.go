package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Reasons name the leaf that differs, with both values.
func TestDifferences(t *testing.T) {
	object := func(c string) map[string]any {
		return map[string]any{"$object": strings.Repeat(c, 64), "size": 3}
	}
	long := make([]any, 41)
	tests := []struct {
		name     string
		old, new Key
		want     string
	}{
		{"number", attrs("epochs", 2), attrs("epochs", 3), "[epochs: 2 → 3]"},
		{"leaf", attrs("limit", map[string]any{"latency": 1, "x": 2}), attrs("limit", map[string]any{"latency": 3, "x": 2}), "[limit.latency: 1 → 3]"},
		{"element", attrs("w", []any{1, 2}), attrs("w", []any{1, 4}), "[w[1]: 2 → 4]"},
		{"length", attrs("w", []any{1}), attrs("w", []any{1, 4}), "[w: [1] → [1,4]]"},
		{"long lists", attrs("w", long[:40]), attrs("w", long), "[w: 40 elements → 41 elements]"},
		{"content", attrs("data", object("a")), attrs("data", object("b")), "[data: content aaaaaaaaaaaa → content bbbbbbbbbbbb]"},
		{"new", attrs("a", 1), Key{Attributes: map[string]any{"a": 1, "b": "x"}}, `[b: (not set) → "x"]`},
		{"gone", Key{Attributes: map[string]any{"a": 1, "b": "x"}}, attrs("a", 1), `[b: "x" → (not set)]`},
		{"version", Key{Stage: "s", Version: 1}, Key{Stage: "s", Version: 2}, "[version of stage s: 1 → 2]"},
		{"stage", Key{Stage: "s"}, Key{Stage: "t", Version: 2}, "[stage: s → t]"},
		{"secret", attrs("k", map[string]any{"$sensitive": "a"}), attrs("k", map[string]any{"$sensitive": "b"}), "[k: (sensitive) → (sensitive)]"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			old, _ := json.Marshal(test.old)
			new, _ := json.Marshal(test.new)
			if got := fmt.Sprint(Differences(old, new, nil)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func attrs(name string, v any) Key { return Key{Attributes: map[string]any{name: v}} }

// A value that becomes zero is told as zero, though JSON leaves it out; one that is no longer
// there is not set.
func TestBecomesZero(t *testing.T) {
	number, flag := &Type{Kind: Number}, &Type{Kind: Bool}
	of := &Type{Kind: Object, Fields: []Field{
		{Name: "energy", Type: number}, {Name: "greedy", Type: flag}, {Name: "scale", Type: &Type{Kind: Number, Nullable: true}},
		{Name: "stops", Type: &Type{Kind: List, Elem: &Type{Kind: Object, Fields: []Field{{Name: "after", Type: number}}}}},
	}}
	old, _ := json.Marshal(Key{Attributes: map[string]any{"energy": 3, "greedy": true, "scale": 2, "stops": []any{map[string]any{"after": 1}}}})
	new, _ := json.Marshal(Key{Attributes: map[string]any{"stops": []any{map[string]any{}}}})
	want := "[energy: 3 → 0 greedy: true → false scale: 2 → (not set) stops[0].after: 1 → 0]"
	if got := fmt.Sprint(Differences(old, new, of)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Long values are cut at a character's border.
func TestBrief(t *testing.T) {
	got := Brief(strings.Repeat("ü", 100))
	if !strings.HasSuffix(got, "ü…") || len(got) > 70 {
		t.Errorf("got %q", got)
	}
}
