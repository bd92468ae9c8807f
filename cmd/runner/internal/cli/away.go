package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/artifacts/team"
	"eyrie/hcl/site"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/kubernetes"
	"eyrie/pipeline/cluster/relay"
	"eyrie/pipeline/cluster/slurm"
)

// carrier returns what carries an executor's jobs to nodes that do not see this machine's store;
// nil where they do.
func (a *app) carrier(e *site.Executor, kept *store.Store) (cluster.Carrier, error) {
	if !e.Cache {
		return nil, nil
	}
	if a.cache == nil || !a.cache.Writes() {
		return nil, fmt.Errorf("%s: executor %q needs a cache that is written to, and none can be reached; runner site checks it", e.Pos("store"), e.Name)
	}
	caches := slices.Clone(a.there.Caches)
	for i := range caches {
		caches[i].Sign = "" // the key stays here
	}
	told, err := json.Marshal(caches)
	if err != nil {
		return nil, err
	}
	bucket, err := firstBucket(caches)
	if err != nil {
		return nil, err
	}
	return &relay.Carrier{Store: kept, Cache: a.cache, Bucket: bucket, Caches: told, Scratch: e.Scratch}, nil
}

// pods returns what an executor's pods are. Its jobs are told from others by the store, so that a
// runner that is started again, on whatever machine, finds them.
func pods(e *site.Executor, store string) kubernetes.Config {
	return kubernetes.Config{
		Context: e.Context, Namespace: e.Namespace, Image: e.Image, Runner: e.Runner, Queue: e.Queue, ServiceAccount: e.ServiceAccount,
		NodeSelector: e.NodeSelector, Tolerations: e.Tolerations, EnvFrom: e.EnvFrom, GPUResource: e.GPUResource, User: e.User, Scratch: e.Scratch,
		Owner: artifacts.Sum([]byte(storeName(store) + "\n" + e.Name)).String()[:16],
	}
}

// storeName returns what no other store is called: a text in it, or its path here where it cannot
// be written.
func storeName(store string) string {
	if store == "" { // nothing is to be found again
		return ""
	}
	path := filepath.Join(store, "jobs", "name")
	if _, err := os.Stat(path); err != nil {
		nameStore(path)
	}
	if b, err := os.ReadFile(path); err == nil {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // it is in use: gc leaves it
		return string(b)
	}
	host, _ := os.Hostname()
	return host + "\n" + store
}

// nameStore writes a store's name, unless another runner has: by a link, so that nobody reads
// half of one. It fails where nothing can be written.
func nameStore(path string) {
	if os.MkdirAll(filepath.Dir(path), 0o777) != nil {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(path), "tmp-")
	if err != nil {
		return
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(rand.Text())
	if errors.Join(err, f.Chmod(0o666), f.Close()) == nil {
		_ = os.Link(f.Name(), path)
	}
}

// firstBucket opens the bucket that the files of jobs are in: the first that is written to.
func firstBucket(caches []site.Cache) (team.Bucket, error) {
	i := slices.IndexFunc(caches, func(c site.Cache) bool { return c.Write })
	if i < 0 {
		return nil, errors.New("no cache is written to")
	}
	b, _, err := bucketOf(&caches[i])
	return b, err
}

// startedAway is the variable by which a performer knows that what started it carries on what
// it says, and puts its job back into the queue after that.
const startedAway = "EYRIE_AWAY"

// requeue returns what puts the job that this process belongs to back into the queue.
func requeue() func() error {
	if os.Getenv(startedAway) != "" {
		return func() error { return nil }
	}
	return slurm.Requeue
}

// performAway performs an element of a batch on a node that does not see the runner's store.
func (a *app) performAway(ctx context.Context, element int) error {
	order, err := relay.ParseOrder(os.Getenv(cluster.OrderVariable))
	if err != nil {
		return err
	}
	s := &site.Site{Path: "the site file of the runner that sent the job"}
	if err := json.Unmarshal(order.Caches, &s.Caches); err != nil {
		return fmt.Errorf("the order in %s: %w", cluster.OrderVariable, err)
	}
	bucket, err := firstBucket(s.Caches)
	if err != nil {
		return err
	}
	var cache *team.Cache
	err = relay.Insist(ctx, func(ctx context.Context) (err error) {
		cache, err = a.openCache(ctx, s, func(text string) { say(a.err, "%s", text) })
		if err == nil && !cache.Writes() {
			err = fmt.Errorf("%s cannot be reached from this node", bucket)
		}
		return err
	})
	if err != nil {
		return err
	}
	n := &relay.Node{Order: order, Cache: cache, Bucket: bucket, Requeue: slurm.Requeue, Command: performAwayCommand}
	code, err := n.Perform(ctx, element)
	if err == nil && code != 0 {
		err = reported(code)
	}
	return err
}

// performAwayCommand returns the command that performs a job of a node's own store. It does not know
// the batch's token.
func performAwayCommand(store, job string) *exec.Cmd {
	cmd := performer(store)()
	cmd.Args = append(cmd.Args, "--job", job)
	cmd.Env = append(withoutOrder(os.Environ()), startedAway+"=1")
	return cmd
}

// withoutOrder returns an environment without a batch's order.
func withoutOrder(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, cluster.OrderVariable+"=") })
}
