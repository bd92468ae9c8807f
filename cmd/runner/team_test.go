package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eyrie/artifacts/s3/s3test"
)

var sharedKills = flag.Int("shared-kills", 200, "how many runs TestSharedUnderFaults begins, of which half are killed")

// member is somebody of a team: a directory with the recipe, a store and a site file.
type member struct {
	t   *testing.T
	dir string
	env []string
}

// newMember returns one whose cache is the bucket "results" at an endpoint; more are further
// lines of the cache block.
func newMember(t *testing.T, endpoint string, more ...string) *member {
	t.Helper()
	m := &member{t: t, dir: t.TempDir()}
	m.write("fan.hcl", fanRecipe)
	m.write("site.hcl", fmt.Sprintf("cache \"s3\" \"team\" {\n  bucket = \"results\"\n  endpoint = %q\n  region = \"us-east-1\"\n  %s\n}\n", endpoint, strings.Join(more, "\n  ")))
	return m
}

func (m *member) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o666); err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) command(args ...string) *exec.Cmd {
	cmd := exec.Command("runner", args...)
	cmd.Dir = m.dir
	cmd.Env = append(append(os.Environ(), "TRACE="+filepath.Join(m.dir, "trace")), m.env...)
	return cmd
}

// runs runs the command, which must end with a code, and returns what it printed.
func (m *member) runs(code int, args ...string) string {
	m.t.Helper()
	out, err := m.command(args...).CombinedOutput()
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		m.t.Fatal(err)
	}
	if got != code {
		m.t.Errorf("%v: exit code %d, want %d\n%s", args, got, code, out)
	}
	return string(out)
}

// prints is runs for a command whose output must have some texts in it.
func (m *member) prints(code int, texts []string, args ...string) {
	m.t.Helper()
	out := m.runs(code, args...)
	for _, text := range texts {
		if !strings.Contains(out, text) {
			m.t.Errorf("%v: want %q in\n%s", args, text, out)
		}
	}
	if secret := os.Getenv("AWS_SECRET_ACCESS_KEY"); secret != "" && strings.Contains(out, secret) {
		m.t.Errorf("%v: the secret is printed", args)
	}
}

// ran returns how many steps this member has run.
func (m *member) ran() int {
	b, _ := os.ReadFile(filepath.Join(m.dir, "trace"))
	return bytes.Count(b, []byte("\n"))
}

const publishes = `mode = "read-write"`

// What one has made everybody has: a run in an empty store runs nothing, and with pull all is
// there without the bucket, too. A reader publishes nothing.
func TestShared(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "results")
	one, two := newMember(t, server.Endpoint(), publishes), newMember(t, server.Endpoint())
	two.prints(0, []string{"24 ran"}, "run", "fan.hcl", "--var", "seed=1") // before there is anything
	one.prints(0, []string{"24 ran", "published: 24 sent, 0 there, 0 failed"}, "run", "fan.hcl")
	two.prints(0, []string{"nothing to do: 24 steps cached"}, "plan", "fan.hcl")
	two.prints(0, []string{"24 cached", "part 11 of 0"}, "run", "fan.hcl")
	if n := two.ran(); n != 24 {
		t.Errorf("the reader ran %d steps, want 24", n)
	}
	two.prints(0, []string{"published by ", "runner "}, "show", "fan.hcl", `part["p1"]`)
	two.prints(0, []string{"Outputs", "out.txt"}, "show", "fan.hcl", `part["p1"]`, "--run", "last") // which was not fetched
	two.prints(0, []string{"36 results", "all whole"}, "verify", "fan.hcl")
	three := newMember(t, server.Endpoint())
	three.prints(0, []string{"24 results fetched, 0 here already"}, "pull", "fan.hcl")
	three.prints(0, []string{"24 cached"}, "run", "fan.hcl", "--site", "none")
	three.prints(0, []string{"12 to run, 12 known after"}, "plan", "fan.hcl", "--var", "seed=1")
	three.prints(2, []string{"nowhere to push to"}, "push", "fan.hcl")
	three.write("site.hcl", read(t, one.dir, "site.hcl"))
	three.prints(0, []string{"published: 0 sent, 24 there, 0 failed"}, "push", "fan.hcl")
	three.prints(0, []string{"reachable", "read-write"}, "site")
	three.prints(0, []string{"24 results, 0 files", "gc --cache team --days 0 --yes removes it"}, "gc", "--cache", "team", "--days", "0")
	three.prints(0, []string{"freed"}, "gc", "--cache", "team", "--days", "0", "--yes")
	newMember(t, server.Endpoint()).prints(0, []string{"12 to run"}, "plan", "fan.hcl")
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// moved fails the test unless the steps of the last run have fetched and sent as many bytes.
func (m *member) moved(t *testing.T, want map[string][2]int64) {
	t.Helper()
	var doc struct {
		Steps []struct {
			Step          string
			Fetched, Sent struct {
				Value int64
				How   string
			}
		}
	}
	if err := json.Unmarshal([]byte(m.runs(0, "show", "fan.hcl", "--cost", "--json")), &doc); err != nil {
		t.Fatal(err)
	}
	for _, s := range doc.Steps {
		if w, ok := want[s.Step]; ok && (s.Fetched.Value != w[0] || s.Sent.Value != w[1] || s.Fetched.How != "measured" || s.Sent.How != "measured") {
			t.Errorf("%s: fetched %+v, sent %+v, want %d", s.Step, s.Fetched, s.Sent, w)
		}
	}
}

// The journal tells what came from a cache and went there, by step: of a result that was cached what was
// fetched of it, of one that was made what was sent of it, each once, and nothing where nothing moved.
func TestSharedCosts(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "results")
	one, two := newMember(t, server.Endpoint(), publishes), newMember(t, server.Endpoint())
	one.runs(0, "run", "fan.hcl")
	one.moved(t, map[string][2]int64{`part["p3"]`: {0, 11}, `part["p11"]`: {0, 12}, `copy["p3"]`: {0, 0}}) // what a copy makes is a value
	one.prints(0, []string{"SENT", "134 B"}, "show", "fan.hcl", "--cost")
	one.runs(0, "run", "fan.hcl")
	one.moved(t, map[string][2]int64{`part["p3"]`: {0, 0}})
	two.runs(0, "run", "fan.hcl", "--rerun", "copy[p3]", "--rerun", "copy[p11]")
	two.moved(t, map[string][2]int64{`part["p3"]`: {11, 0}, `part["p4"]`: {0, 0}, `copy["p3"]`: {0, 0}})
	two.prints(0, []string{"FETCHED", "23 B"}, "show", "fan.hcl", "--cost")
	three := newMember(t, server.Endpoint())
	three.runs(0, "run", "fan.hcl", "--site", "none")
	three.moved(t, map[string][2]int64{`part["p3"]`: {0, 0}})
}

// Under --isolate children have the store alone: inputs are fetched for them, and what they make
// is published.
func TestSharedIsolated(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "results")
	one, two := newMember(t, server.Endpoint(), publishes), newMember(t, server.Endpoint(), publishes)
	one.prints(0, []string{"12 ran", "published: 12 sent"}, "run", "fan.hcl", "--isolate", "--target", "part")
	two.prints(0, []string{"12 ran, 12 cached", "published: 12 sent", "part 11 of 0"}, "run", "fan.hcl", "--isolate")
}

// What is wrong with a cache stops a run before anything ran, with what to check; a network that
// is not there does not.
func TestSharedMisconfigured(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "results")
	wrong := func(m *member, code int, texts ...string) {
		t.Helper()
		m.prints(code, texts, "run", "fan.hcl")
		if m.ran() > 0 {
			t.Error("something ran")
		}
	}
	m := newMember(t, server.Endpoint())
	m.write("site.hcl", strings.Replace(read(t, m.dir, "site.hcl"), "results", "nowhere", 1))
	wrong(m, 3, "there is no such bucket; check bucket and endpoint", "nothing was run")
	m.prints(3, []string{"no such bucket"}, "site")

	m = newMember(t, server.Endpoint())
	m.env = []string{"AWS_SECRET_ACCESS_KEY=another-secret"}
	wrong(m, 3, "check the credentials")
	wrong(newMember(t, server.Endpoint(), publishes, `sign = "nokey"`), 2, "site.hcl:6", "nokey")
	wrong(newMember(t, server.Endpoint(), `trust = ["key"]`), 2, "site.hcl:5", "no public key")
	wrong(newMember(t, server.Endpoint(), `moode = "read"`), 2, `Did you mean "mode"?`)
	wrong(newMember(t, "s3.example.org"), 2, "want http:// or https://")

	m = newMember(t, "http://127.0.0.1:1")
	m.prints(3, []string{"nothing was fetched: no cache can be reached"}, "pull", "fan.hcl")
	m = newMember(t, refusing(t, server, func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/actions/") }))
	m.prints(3, []string{"perhaps not all was fetched"}, "pull", "fan.hcl")
	m = newMember(t, "http://127.0.0.1:1", publishes)
	m.prints(0, []string{`cache "team" cannot be reached, and only the local store is used`, "24 ran"}, "run", "fan.hcl")
}

// refusing is a server before another one that refuses what a test says.
func refusing(t *testing.T, server *s3test.Server, refuse func(r *http.Request) bool) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: server.Address})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse(r) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// A bucket that cannot be written to is told before anything ran; one that can no longer be
// costs the publishing, with a count.
func TestSharedUnwritable(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "results")
	m := newMember(t, refusing(t, server, func(r *http.Request) bool { return r.Method == "PUT" }), publishes)
	m.prints(3, []string{"check that the credentials may use the bucket", "nothing was run"}, "run", "fan.hcl")
	if m.ran() > 0 {
		t.Error("something ran")
	}
	m = newMember(t, refusing(t, server, func(r *http.Request) bool {
		return r.Method == "PUT" && !strings.HasSuffix(r.URL.Path, "/eyrie-format")
	}), publishes)
	m.prints(0, []string{"24 ran", "published: 0 sent, 0 there, 24 failed", "a request failed", "runner push publishes what is missing", "part 11 of 0"}, "run", "fan.hcl")
}

// A reader that names keys takes what these have signed, and makes the rest itself.
func TestSharedSigned(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "results")
	signer := newMember(t, server.Endpoint(), publishes, `sign = "team.key"`)
	key := strings.TrimSpace(signer.runs(0, "site", "key", "team.key"))
	signer.prints(2, []string{"not written over"}, "site", "key", "team.key")
	signer.prints(0, []string{"signs as " + key}, "site")
	signer.runs(0, "run", "fan.hcl", "--target", "part")
	newMember(t, server.Endpoint(), publishes).prints(0, []string{"12 sent"}, "run", "fan.hcl")
	reader := newMember(t, server.Endpoint(), fmt.Sprintf("trust = [%q]", key))
	reader.prints(0, []string{"12 ran, 12 cached", "nobody named in trust has signed"}, "run", "fan.hcl")
	one := newMember(t, server.Endpoint(), `mode = env("PUBLISHES") == "yes" ? "read-write" : "read"`, `sign = "team.key"`, fmt.Sprintf("trust = [%q]", key))
	one.prints(0, []string{"12 cached"}, "plan", "fan.hcl") // a file for all, of whom few have the key
	one.env = []string{"PUBLISHES=yes"}
	one.prints(2, []string{"site.hcl:6", "team.key"}, "plan", "fan.hcl")
	other := strings.TrimSpace(signer.runs(0, "site", "key", "other.key"))
	signer.write("site.hcl", strings.Replace(read(t, signer.dir, "site.hcl"), "sign", fmt.Sprintf("trust = [%q]\nsign", other), 1))
	signer.prints(2, []string{"site.hcl:6", "add \"" + key}, "plan", "fan.hcl")
	newMember(t, server.Endpoint(), fmt.Sprintf("trust = [%q]", other)).prints(0, []string{"24 ran"}, "run", "fan.hcl")
}

// Plain HTTP does for the same: a server that keeps what is put, and gives it back.
func TestSharedHTTP(t *testing.T) {
	var kept sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" {
			b, err := io.ReadAll(r.Body)
			if err == nil {
				kept.Store(r.URL.Path, b)
			}
			return
		}
		b, ok := kept.Load(r.URL.Path)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(b.([]byte))
	}))
	defer server.Close()
	one, two := newMember(t, ""), newMember(t, "")
	site := fmt.Sprintf("cache \"http\" \"mirror\" {\n  url = %q\n", server.URL+"/eyrie")
	one.write("site.hcl", site+publishes+"\n}\n")
	two.write("site.hcl", site+"}\n")
	one.prints(0, []string{"24 ran", "published: 24 sent"}, "run", "fan.hcl")
	two.prints(0, []string{"24 cached", "part 11 of 0"}, "run", "fan.hcl")

	// A file that is not what it should be is found out before anything runs: its step runs.
	kept.Range(func(path, b any) bool {
		if string(b.([]byte)) == "part 11 of 0" {
			kept.Store(path, []byte("part 11 of 9"))
		}
		return true
	})
	three := newMember(t, "")
	three.write("site.hcl", site+"}\n")
	three.prints(0, []string{"11 cached"}, "run", "fan.hcl", "--rerun", "copy", "--target", "copy")
	if text := three.runs(0, "output", "fan.hcl", "texts"); !strings.Contains(text, "part 11 of 0") || three.ran() != 13 {
		t.Errorf("%d steps ran:\n%s", three.ran(), text)
	}
	two.prints(3, []string{"cannot be listed"}, "gc", "--cache", "mirror")
}

// Results that secrets may be in stay where they were made.
func TestSharedSecrets(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "results")
	m := newMember(t, server.Endpoint(), publishes)
	m.write("secret.hcl", `
variable "token" {
  type      = string
  sensitive = true
}
stage "value" "open" { value = "open" }
stage "value" "closed" {
  value  = var.token
  reveal = true
}
`)
	m.prints(0, []string{"2 ran", "published: 1 sent"}, "run", "secret.hcl", "--var", "token=hush")
	m.prints(0, []string{"published: 0 sent, 1 there"}, "push", "secret.hcl", "--var", "token=hush")
}

// Whoever interrupts a run that only publishes any more loses nothing of what comes to its end in a
// moment, and is told so; the run has succeeded.
func TestSharedInterrupted(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "results")
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: server.Address})
	held := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "PUT" && !strings.HasSuffix(r.URL.Path, "/eyrie-format") {
			<-held
		}
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	m := newMember(t, front.URL, publishes)
	cmd := m.command("run", "fan.hcl")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	until := func(text string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), text) {
				return
			}
		}
		t.Errorf("%q was never said", text)
	}
	until("publishing …")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	until("what is being published has 10 s more")
	close(held)
	until("published: 24 sent, 0 there, 0 failed")
	until("24 ran in")
	for lines.Scan() { // to its end
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	newMember(t, server.Endpoint()).prints(0, []string{"24 steps cached"}, "plan", "fan.hcl")
}

// faulty is a network that drops, cuts, flips and delays, either way.
type faulty struct {
	to     http.Handler
	faults atomic.Int64
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := func(percent int) bool {
		is := rand.IntN(100) < percent
		if is {
			f.faults.Add(1)
		}
		return is
	}
	time.Sleep(rand.N(2 * time.Millisecond))
	if fault(2) {
		panic(http.ErrAbortHandler)
	}
	if r.Method == "PUT" && fault(2) {
		b, err := io.ReadAll(r.Body)
		if err != nil || len(b) == 0 {
			panic(http.ErrAbortHandler)
		}
		b[rand.IntN(len(b))] ^= 1 << rand.IntN(8)
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	answer := httptest.NewRecorder()
	f.to.ServeHTTP(answer, r)
	body := answer.Body.Bytes()
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	switch {
	case fault(2): // it was done, and nobody knows
		panic(http.ErrAbortHandler)
	case len(body) > 0 && fault(2): // cut
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body[:rand.IntN(len(body))])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case len(body) > 0 && fault(2): // cut, and whole as far as anybody can tell
		body = body[:rand.IntN(len(body))]
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	case len(body) > 0 && fault(3):
		body[rand.IntN(len(body))] ^= 1 << rand.IntN(8)
	case fault(2):
		w.Header().Del("Content-Length")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body)
}

// Over a network that drops, cuts, flips and delays, and while runners are killed at any moment,
// two that publish at the same time, and whoever comes to an empty store, get right results and
// no others; what is in the bucket in the end is right, or is not found.
func TestSharedUnderFaults(t *testing.T) {
	server := s3test.Start(t)
	server.Bucket(t, "results")
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: server.Address})
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	network := &faulty{to: proxy}
	front := httptest.NewUnstartedServer(network)
	front.Config.ErrorLog = nil
	front.Start()
	defer front.Close()
	rounds := *sharedKills
	if testing.Short() {
		rounds = 40
	}
	var next, killed, found atomic.Int64
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			m := newMember(t, front.URL, publishes)
			for next.Add(1) <= int64(rounds) && !t.Failed() {
				if rand.IntN(3) == 0 { // somebody new
					if err := os.RemoveAll(filepath.Join(m.dir, ".eyrie")); err != nil {
						t.Error(err)
					}
				}
				m.once(rand.IntN(10), &killed, &found)
			}
		})
	}
	wait.Wait()
	t.Logf("%d faults, %d runners killed, %d steps found", network.faults.Load(), killed.Load(), found.Load())
	if killed.Load() == 0 || network.faults.Load() == 0 || found.Load() == 0 {
		t.Error("the test shows nothing")
	}
	m := newMember(t, server.Endpoint(), publishes)
	for seed := range 10 {
		m.right(seed, m.runs(0, "run", "fan.hcl", "--var", fmt.Sprint("seed=", seed)))
	}
	m.runs(0, "verify", "fan.hcl")
	newMember(t, server.Endpoint()).prints(0, []string{"24 cached"}, "run", "fan.hcl") // what was damaged was made good
}

// once begins a run, and kills it or waits for its end.
func (m *member) once(seed int, killed, found *atomic.Int64) {
	cmd := m.command("run", "fan.hcl", "--var", fmt.Sprint("seed=", seed))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		m.t.Error(err)
		return
	}
	if rand.IntN(2) == 0 {
		kill := time.AfterFunc(rand.N(300*time.Millisecond), func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
	}
	err := cmd.Wait()
	if !cmd.ProcessState.Exited() {
		killed.Add(1)
		return
	}
	if text := out.String(); err == nil {
		m.right(seed, text)
		found.Add(int64(strings.Count(text, "cached")))
	} else if !strings.Contains(text, "refused: ") { // an answer that was flipped can say anything
		m.t.Errorf("%v\n%s", err, text)
	}
}

// right fails the test unless a run has printed what is right.
func (m *member) right(seed int, out string) {
	m.t.Helper()
	for i := range 12 {
		if want := fmt.Sprintf("part %d of %d", i, seed); !strings.Contains(out, want) {
			m.t.Errorf("seed %d lacks %q:\n%s", seed, want, out)
		}
	}
}
