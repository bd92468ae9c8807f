package blob

import (
	"strings"
	"testing"

	"eyrie/artifacts"
)

// A key is written in one way, which is part of every store's format, and
// nothing else is read as one.
func TestKey(t *testing.T) {
	sum := artifacts.Sum(nil)
	k := Key{Object, sum}
	want := "objects/e3/b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	if k.String() != want {
		t.Errorf("got %s, want %s", k, want)
	}
	if got, err := ParseKey(want); err != nil || got != k {
		t.Errorf("got %v, %v", got, err)
	}
	name := sum.String()
	for _, s := range []string{
		"", "objects", "objects/", "objects/" + name, "/e3/" + name[2:], "objects/e3" + name[2:] + "/",
		"objects//" + name, "objects/e/" + name[1:], "objects/e3/" + name[2:] + "/", "objects/e3/" + name[3:],
		"OBJECTS/e3/" + strings.ToUpper(name[2:]), "objects/e3/../" + name[2:], "x/objects/e3/" + name[2:],
	} {
		if k, err := ParseKey(s); err == nil {
			t.Errorf("%q is %v", s, k)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(Key{Kind: Action}.String())
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := ParseKey(s); err == nil && k.String() != s {
			t.Errorf("%q is %v", s, k)
		}
	})
}
