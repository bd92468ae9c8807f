package site_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

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
		`cache "s3" "a" { bucket = "b" }
cache "s3" "b" { bucket = "b" }`: `cache "a" at`,
		`cache "http" "a" { url = "https://c.example" }
cache "http" "b" { url = "https://c.example/" }`: "one block for both",
		`cache "s3" "a" { bucket = "s3://b" }`: "want the name alone",
		`cache "s3" "a" { bucket = "b/nas" }`:  "is the prefix",
		`cache "s3" "a" {
  bucket = "b"
  prefix = "../c"
}`: "want a path in the bucket",
		`cache "s3" "a" {
  bucket = "b"
  mode   = env("HOPEFULLY_NOT_SET") == "" ? "read" : "read-write"
  sign   = "key"
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

const written = `
cache "s3" "team" {
  bucket = "results"
  mode   = "read-write"
}
`

// An executor of Kubernetes has what is written, and the cache as its store; others have that
// where they want it.
func TestNodes(t *testing.T) {
	s, mistakes := load(t, `
executor "kubernetes" "cloud" {
  takes           = { gpus = 1 }
  image           = "registry.example.org/eyrie:1"
  namespace       = "lab"
  user            = 1000
  context         = "big"
  queue           = "team"
  service_account = "runner"
  node_selector   = { gpu = "a100" }
  tolerations     = ["dedicated"]
  env_from        = ["cache"]
  time            = "20 h"
  max_jobs        = 50
}
executor "slurm" "far" {
  runner  = "/opt/eyrie/runner"
  store   = "cache"
  scratch = "/scratch/eyrie"
}
executor "slurm" "near" {}
`+written)
	if len(mistakes) > 0 || len(s.Executors) != 3 {
		t.Fatalf("%+v, %q", s, mistakes)
	}
	cloud, far, near := s.Executors[0], s.Executors[1], s.Executors[2]
	want := site.Pods{Image: "registry.example.org/eyrie:1", Namespace: "lab", Context: "big", Queue: "team", ServiceAccount: "runner",
		NodeSelector: map[string]string{"gpu": "a100"}, Tolerations: []string{"dedicated"}, EnvFrom: []string{"cache"}, GPUResource: "nvidia.com/gpu", User: 1000}
	if !reflect.DeepEqual(cloud.Pods, want) || !cloud.Cache || cloud.Runner != "runner" || cloud.Jobs != 50 || cloud.Time != 20*time.Hour {
		t.Errorf("%+v", cloud)
	}
	if !far.Cache || far.Scratch != "/scratch/eyrie" || near.Cache {
		t.Errorf("%+v, %+v", far, near)
	}
}

// Jobs elsewhere need a cache that is written to, wherever in the file it is, and a program.
func TestNodeMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`executor "kubernetes" "a" {}` + written:                                                    `such as image = "registry.example.org/eyrie:1"`,
		`executor "kubernetes" "a" { image = "a" }`:                                                 `write a block cache "s3" "team"`,
		"executor \"kubernetes\" \"a\" { image = \"a\" }\ncache \"s3\" \"team\" { bucket = \"b\" }": `cache "team" at`,
		`executor "kubernetes" "a" {
  image = "a"
  setup = ["module load cuda"]
}` + written: "leave setup out",
		`executor "kubernetes" "a" {
  image = "a"
  node_selector = { gpu = null }
}` + written: `"gpu" is null`,
		`executor "kubernetes" "a" {
  image = "a"
  store = "shared"
}` + written: `want one of "cache"`,
		`executor "slurm" "a" { store = "cache" }` + written: "write runner",
		`executor "slurm" "a" { scratch = "/tmp" }`:          `write store = "cache"`,
		`executor "slurm" "a" { image = "b" }`:               `no attribute "image"`,
		`executor "kubernets" "a" {}`:                        `Did you mean "kubernetes"?`,
	} {
		if _, mistakes := load(t, text); len(mistakes) != 1 || !strings.Contains(mistakes[0], want) {
			t.Errorf("%s\nwant %q, got %q", text, want, mistakes)
		}
	}
}
