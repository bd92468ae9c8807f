package site_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eyrie/hcl/site"
)

func load(t *testing.T, text string) (*site.Site, []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), site.Name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	s, diags := site.Load(path)
	var mistakes []string
	for _, d := range diags.All() {
		mistakes = append(mistakes, d.Summary+": "+d.Detail)
	}
	return s, mistakes
}

// What is written is what is read; paths start from the site file, and the environment can
// choose.
func TestLoad(t *testing.T) {
	t.Setenv("CI", "true")
	s, mistakes := load(t, `
cache "s3" "team" {
  bucket   = "results"
  prefix   = "nas"
  endpoint = "https://s3.example.org"
  region   = "eu"
  mode     = env("CI") == "true" ? "read-write" : "read"
  trust    = ["ed25519:a", "ed25519:b"]
  sign     = "keys/team"
}
cache "http" "mirror" { url = "https://cache.example.org" }
`)
	if len(mistakes) > 0 || len(s.Caches) != 2 {
		t.Fatalf("%+v, %q", s, mistakes)
	}
	team, mirror := s.Caches[0], s.Caches[1]
	if team.Kind != site.S3 || team.Name != "team" || team.Bucket != "results" || team.Prefix != "nas" || team.Endpoint != "https://s3.example.org" ||
		team.Region != "eu" || !team.Write || !slices.Equal(team.Trust, []string{"ed25519:a", "ed25519:b"}) || team.Sign != filepath.Join(filepath.Dir(s.Path), "keys/team") {
		t.Errorf("%+v", team)
	}
	if mirror.Kind != site.HTTP || mirror.URL != "https://cache.example.org" || mirror.Write {
		t.Errorf("%+v", mirror)
	}
	if pos := team.Pos("trust"); filepath.Base(pos) != "site.hcl:8" {
		t.Error(pos)
	}
}

// A mistake is told with what to write.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`x = 1`:                               "has blocks alone",
		`chache "s3" "a" {}`:                  `Did you mean "cache"?`,
		`cache "s3" {}`:                       `cache "s3" "team" { … }`,
		`cache "s4" "a" {}`:                   `Did you mean "s3"?`,
		`cache "s3" "a" {}`:                   `such as bucket = "results"`,
		`cache "s3" "a" { bucket = "" }`:      "bucket is empty",
		`cache "s3" "a" { bucket = 1 + }`:     "Invalid expression",
		`cache "s3" "a" { bucket = ["b"] }`:   "want string",
		`cache "s3" "a" { bucket = var.b }`:   "Variables not allowed",
		`cache "http" "a" { url = env("?") }`: "url is empty",
		`cache "s3" "a" {
  bucket = "b"
  bukket = "b"
}`: `Did you mean "bucket"?`,
		`cache "s3" "a" {
  bucket = "b"
  mode   = "readwrite"
}`: `Did you mean "read-write"?`,
		`cache "s3" "a" {
  bucket = "b"
  trust  = "key"
}`: "want list of string",
		`cache "s3" "a" {
  bucket = "b"
  sign   = "key"
}`: `write mode = "read-write"`,
		`cache "s3" "a" { bucket = "b" }
cache "s3" "a" { bucket = "c" }`: "another cache",
		`cache "s3" "a" {
  bucket = "b"
  x {}
}`: "attributes alone",
	} {
		if _, mistakes := load(t, text); len(mistakes) != 1 || !strings.Contains(mistakes[0], want) {
			t.Errorf("%s\nwant %q, got %q", text, want, mistakes)
		}
	}
}

// The file beside a recipe comes before the user's own.
func TestFind(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	found := func(want string) {
		t.Helper()
		if got, err := site.Find(dir); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	found("")
	for _, path := range []string{filepath.Join(home, ".config", "eyrie", site.Name), filepath.Join(dir, site.Name)} {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		found(path)
	}
}
