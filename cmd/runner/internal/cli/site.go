package cli

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"eyrie/artifacts/blob"
	"eyrie/artifacts/s3"
	"eyrie/artifacts/store"
	"eyrie/artifacts/team"
	"eyrie/artifacts/web"
	"eyrie/cmd/runner/internal/view"
	"eyrie/hcl/site"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/kubernetes"
)

// noSite is the value of --site for using no site file, wherever one lies.
const noSite = "none"

// loadSite reads the site file that goes with recipes in a directory; nil where there is none.
func (a *app) loadSite(dir string) (*site.Site, error) {
	path := a.site
	if path == noSite {
		return nil, nil
	}
	if path == "" {
		var err error
		if path, err = site.Find(dir); err != nil || path == "" {
			return nil, err
		}
	} else if _, err := os.Stat(path); err != nil {
		return nil, invalidf("--site %s: there is no such file; --site %s uses none", path, noSite)
	}
	s, diags := site.Load(path)
	a.diagnose(a.err, a.paper(a.err), diags)
	if diags.HasErrors() {
		return nil, reported(exitInvalid)
	}
	return s, nil
}

// openStore opens the store that goes with the recipe at path, and what the site file puts
// behind it.
func (a *app) openStore(ctx context.Context, path string, tell func(string)) (*store.Store, error) {
	kept, err := store.Open(a.storeDir(path))
	if err != nil {
		return nil, err
	}
	if a.there, err = a.loadSite(recipeDir(path)); err == nil {
		a.cache, err = a.openCache(ctx, a.there, tell)
	}
	if err != nil {
		_ = kept.Close()
		return nil, err
	}
	if a.cache != nil {
		kept.Back(a.cache)
	}
	return kept, nil
}

// openCache opens what a site file says that a team shares; nil where it says nothing of that.
func (a *app) openCache(ctx context.Context, s *site.Site, tell func(string)) (*team.Cache, error) {
	if s == nil || len(s.Caches) == 0 {
		return nil, nil
	}
	sources, err := sources(s)
	if err != nil {
		return nil, err
	}
	cache, err := team.Open(ctx, sources, me(), tell)
	if errors.Is(err, blob.ErrRefused) {
		return nil, fmt.Errorf("%s: %w; nothing was run (runner site checks it, --site %s does without)", s.Path, err, noSite)
	}
	return cache, err
}

// me is who publishes results.
func me() store.Shared {
	by := "unknown"
	if u, err := user.Current(); err == nil {
		by = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return store.Shared{By: by, Host: host, Runner: buildVersion().Version}
}

// sources opens the buckets that a site file names.
func sources(s *site.Site) ([]team.Source, error) {
	var all []team.Source
	var mistakes []error
	for i := range s.Caches {
		source, err := newSource(&s.Caches[i])
		all = append(all, source)
		mistakes = append(mistakes, err)
	}
	return all, errors.Join(mistakes...)
}

func newSource(c *site.Cache) (team.Source, error) {
	wrong := func(attribute string, err error) (team.Source, error) {
		return team.Source{}, invalidf("%s: cache %q: %w", c.Pos(attribute), c.Name, err)
	}
	bucket, attribute, err := bucketOf(c)
	if err != nil {
		return wrong(attribute, err)
	}
	source := team.Source{Name: c.Name, Bucket: bucket, Write: c.Write}
	for _, text := range c.Trust {
		key, err := team.ParseKey(text)
		if err != nil {
			return wrong("trust", err)
		}
		source.Trust = append(source.Trust, key)
	}
	if c.Sign != "" && c.Write { // others need not have the key
		if source.Sign, err = team.ReadKey(c.Sign); err != nil {
			return wrong("sign", err)
		}
	}
	if public := source.Public(); public != nil && len(source.Trust) > 0 && !slices.ContainsFunc(source.Trust, func(k ed25519.PublicKey) bool { return k.Equal(public) }) {
		return wrong("trust", fmt.Errorf("nobody who uses this file would take what is signed here: add %q", team.FormatKey(public)))
	}
	return source, nil
}

func bucketOf(c *site.Cache) (b team.Bucket, attribute string, err error) {
	if c.Kind == site.HTTP {
		b, err = web.Open(c.URL, nil)
		return b, "url", err
	}
	b, err = s3.Open(s3.Config{Bucket: c.Bucket, Prefix: c.Prefix, Endpoint: c.Endpoint, Region: c.Region})
	return b, "endpoint", err
}

// lastSettling is how long publishing may go on when a run is told to stop: what is done is done for
// others, too, but somebody waits for the end.
const lastSettling = 10 * time.Second

// settle waits until what a run made is published, and returns what became of it.
func (r *runner) settle(parent context.Context, tell func(string)) team.Published {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	defer cancel()
	stop := context.AfterFunc(parent, func() { time.AfterFunc(lastSettling, cancel) })
	defer stop()
	return r.waitPublished(ctx, tell)
}

// waitPublished waits for what is being published, and returns what became of it.
func (a *app) waitPublished(ctx context.Context, tell func(string)) team.Published {
	defer busy(tell, "publishing …")()
	return a.cache.Wait(ctx)
}

// reportPublished says what became of what was published.
func (a *app) reportPublished(p team.Published, tell func(string)) {
	if a.json && a.cache.Writes() {
		_ = a.print("published", p)
	} else if a.cache.Writes() && p.Sent+p.There+p.Failed > 0 {
		say(a.out, "published: %s", p)
	}
	if len(p.Differ) > 0 {
		tell(fmt.Sprintf("%s made something else here than what is published: a stage's result should follow from its attributes alone", view.Few(p.Differ, ", ")))
	}
	if lost := a.cache.Lost(); lost != "" {
		tell(lost)
	}
	if p.Failed > 0 {
		tell(fmt.Sprintf("%s could not be published: runner push publishes what is missing, once the cache takes it", view.Count(p.Failed, "result")))
	}
}

// siteJSON is what there is at a site.
type siteJSON struct {
	Path      string         `json:"path,omitempty"` // of the site file
	Runner    string         `json:"runner"`
	Platform  string         `json:"platform"`
	CPUs      int            `json:"cpus"`
	Machine   *machineJSON   `json:"machine,omitempty"` // what the site file says of it
	Caches    []cacheJSON    `json:"caches"`
	Executors []executorJSON `json:"executors"`
}

// machineJSON is what steps may take of this machine.
type machineJSON struct {
	Jobs      int                `json:"jobs,omitempty"` // at once; 0 for one per CPU
	Resources map[string]float64 `json:"resources,omitempty"`
}

// executorJSON is an executor, as it was found.
type executorJSON struct {
	Name    string             `json:"name"`
	Kind    string             `json:"kind"`
	Steps   []string           `json:"steps,omitempty"` // patterns of the steps that it takes
	Takes   map[string]float64 `json:"takes,omitempty"` // what they ask for at least
	Version string             `json:"version,omitempty"`
	Problem string             `json:"problem,omitempty"`
}

// cacheJSON is a cache, as it was found.
type cacheJSON struct {
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	Address string   `json:"address"`
	Write   bool     `json:"write"`
	Trust   []string `json:"trust,omitempty"`
	Signs   string   `json:"signs,omitempty"` // the public key
	Elapsed float64  `json:"elapsed"`         // s, that the check took
	Empty   bool     `json:"empty,omitempty"` // nothing has been published there
	Problem string   `json:"problem,omitempty"`
}

func (a *app) siteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "site",
		Short: "Check the site file, and say what there is",
		Long: `Check the site file, and say what there is: this machine, the caches that a team shares, and
the executors that perform steps on other machines.

A site file says what there is where recipes are run. It is --site, or site.hcl in this
directory, or ~/.config/eyrie/site.hcl; recipes stay the same everywhere, and nothing in it
is part of a key.

  cache "s3" "team" {
    bucket   = "results"
    prefix   = "nas"                        # optional
    endpoint = "https://s3.example.org"     # without it: Amazon's
    region   = "eu-central-1"               # where the server asks for one
    mode     = "read-write"                 # publish, too; "read" is the default
    trust    = ["ed25519:…"]                # take only what these keys have signed
    sign     = "team.key"                   # sign what is published
  }

  cache "http" "mirror" { url = "https://cache.example.org/eyrie" }

  machine {
    jobs      = 4                           # steps at once, in place of one per CPU
    resources = { gpus = 1, board = 1 }     # what steps may ask for here
  }

  executor "slurm" "gpu" {
    takes     = { gpus = 1 }                # steps that ask for at least that; or steps = ["train-*"]
    partition = "gpu"
    time      = "20 h"                      # of a job, where the step has no timeout
  }

Credentials for S3 are those of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of AWS_PROFILE in
~/.aws/credentials, or of the machine. Attributes may use env("NAME"), as in
mode = env("CI") == "true" ? "read-write" : "read". See docs/cluster.md.`,
		Example: `  runner site
  runner site --site /shared/site.hcl --json
  runner site key team.key      make a pair of keys`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.checkSite(cmd.Context()) },
	}
	cmd.AddCommand(a.siteKeyCommand())
	return cmd
}

func (a *app) siteKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "Make a pair of keys: the private one in FILE, the public one printed",
		Long: `Make a pair of keys (Ed25519). The private one is written to FILE, which must not exist and
which only you may read: it is for sign, and belongs to whoever publishes, such as CI. The
public one is printed: it is for trust, and for everybody.`,
		Args: exactly("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			public, err := team.NewKey(args[0])
			if errors.Is(err, os.ErrExist) {
				return invalidf("%s is there already, and a key is not written over", args[0])
			} else if err != nil {
				return err
			}
			if a.json {
				return a.print("key", map[string]string{"file": args[0], "public": team.FormatKey(public)})
			}
			say(a.out, "%s", team.FormatKey(public))
			return nil
		},
	}
}

func (a *app) checkSite(ctx context.Context) error {
	s, err := a.loadSite(".")
	if err != nil {
		return err
	}
	v := buildVersion()
	doc := siteJSON{Runner: v.Version, Platform: v.Platform, CPUs: runtime.GOMAXPROCS(0), Caches: []cacheJSON{}, Executors: []executorJSON{}}
	bad := 0
	if s != nil {
		doc.Path = s.Path
		if m := s.Machine; m.Jobs > 0 || len(m.Resources) > 0 {
			doc.Machine = &machineJSON{m.Jobs, m.Resources}
		}
		sources, err := sources(s)
		if err != nil {
			return err
		}
		for i, source := range sources {
			c := checkCache(ctx, &s.Caches[i], source)
			if c.Problem != "" {
				bad++
			}
			doc.Caches = append(doc.Caches, c)
		}
		for i := range s.Executors {
			x := checkExecutor(ctx, &s.Executors[i])
			if x.Problem != "" {
				bad++
			}
			doc.Executors = append(doc.Executors, x)
		}
	}
	if a.json {
		err = a.print("site", doc)
	} else {
		a.sayText(doc)
	}
	if err == nil && bad > 0 {
		return &exitError{exitTrouble, fmt.Errorf("%d of the %d caches and executors cannot be used", bad, len(doc.Caches)+len(doc.Executors))}
	}
	return err
}

// checkCache asks a cache whether it can be used.
func checkCache(ctx context.Context, c *site.Cache, source team.Source) cacheJSON {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	found := cacheJSON{Name: c.Name, Kind: c.Kind, Address: source.Bucket.String(), Write: c.Write, Trust: c.Trust}
	if public := source.Public(); public != nil {
		found.Signs = team.FormatKey(public)
	}
	start := time.Now()
	switch err := source.Bucket.Check(ctx, source.Write); {
	case errors.Is(err, blob.ErrEmpty):
		found.Empty = true
	case err != nil:
		found.Problem = err.Error()
	}
	found.Elapsed = time.Since(start).Seconds()
	return found
}

// checkExecutor asks an executor's scheduler whether it can be used, as far as that can be told
// without a job.
func checkExecutor(ctx context.Context, e *site.Executor) executorJSON {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	found := executorJSON{Name: e.Name, Kind: e.Kind, Steps: e.Steps, Takes: e.Takes}
	version, err := ask(ctx, e, cluster.Asks(e.Takes, e.Time))
	if found.Version = version; err != nil {
		found.Problem = err.Error()
	}
	return found
}

// ask asks an executor's scheduler whether it can be used, and takes such jobs, as far as that can
// be told without one. It returns the scheduler's version, "" where there is nothing to ask.
func ask(ctx context.Context, e *site.Executor, asks ...cluster.Ask) (version string, err error) {
	switch e.Kind {
	case site.Slurm:
		return slurmOf(e).Check(ctx, asks...)
	case site.Kubernetes:
		return kubernetes.New(pods(e, "")).Check(ctx)
	}
	return "", nil
}

// describe words what the site file says of this machine; "" for nothing.
func (m *machineJSON) describe() (text string) {
	if m == nil {
		return ""
	}
	if m.Jobs > 0 {
		text += ", " + view.Count(m.Jobs, "step") + " at once"
	}
	if len(m.Resources) > 0 {
		text += ", for steps " + amounts(m.Resources)
	}
	return text
}

// amounts words resources: "gpus = 1 and memory = 64 GiB".
func amounts(all map[string]float64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value := fmt.Sprint(all[name])
		if name == "memory" {
			value = humanize.IBytes(uint64(all[name]))
		}
		parts = append(parts, name+" = "+value)
	}
	return strings.Join(parts, " and ")
}

// describe words an executor: what it takes, and what is known of it.
func (x *executorJSON) describe() string {
	text := "takes "
	switch {
	case len(x.Steps) > 0:
		text += strings.Join(x.Steps, ", ")
	case len(x.Takes) == 0:
		text += "every step"
	default:
		text += "steps"
	}
	if len(x.Takes) > 0 {
		text += " with at least " + amounts(x.Takes)
	}
	switch {
	case x.Problem != "":
		return text + ": " + x.Problem
	case x.Version != "":
		return text + ": " + x.Version
	case x.Kind == site.Local:
		return text + ", on this machine"
	}
	return text + "; its commands are not tried before there is a job"
}

// state says whether the cache can be used.
func (c *cacheJSON) state() string {
	if c.Problem != "" {
		return c.Problem
	}
	text := "reachable in " + view.Duration(time.Duration(c.Elapsed*float64(time.Second)))
	if c.Empty {
		text += "; " + blob.ErrEmpty.Error()
	}
	return text
}

func (a *app) sayText(doc siteJSON) {
	say(a.out, "this machine: runner %s, %s, %s%s", doc.Runner, doc.Platform, view.Count(doc.CPUs, "CPU"), doc.Machine.describe())
	if doc.Path == "" {
		say(a.out, "there is no site file: site.hcl is neither here nor in ~/.config/eyrie; results are in the local store alone")
		return
	}
	say(a.out, "site file: %s, %s, %s", doc.Path, view.Count(len(doc.Caches), "cache"), view.Count(len(doc.Executors), "executor"))
	for _, c := range doc.Caches {
		mode := "read"
		if c.Write {
			mode = "read-write"
		}
		if c.Signs != "" {
			mode += ", signs as " + c.Signs
		}
		if n := len(c.Trust); n > 0 {
			mode += ", trusts " + view.Count(n, "key")
		}
		say(a.out, "cache %q: %s, %s: %s", c.Name, c.Address, mode, c.state())
	}
	for _, x := range doc.Executors {
		say(a.out, "executor %q (%s) %s", x.Name, x.Kind, x.describe())
	}
}
