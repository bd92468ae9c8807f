package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"eyrie/pipeline/cluster/kubernetes/api"
)

// watch keeps what there is of a kind of objects: it lists them once and is then told of changes,
// from where it was when a connection is cut, and lists anew where the server has forgotten that.
type watch[T any] struct {
	client   *client
	path     string
	selector string
	meta     func(*T) *api.Meta

	mu      sync.Mutex
	running bool
	asked   time.Time // when somebody last wanted to know
	listed  chan struct{}
	err     error // of the last list, if that failed
	all     map[string]T
	lists   int // how often it has listed
	cuts    int // how often a connection ended
}

// idle is how long a watch goes on that nobody asks.
const idle = 5 * time.Minute

// get returns what there is. The first call lists.
func (w *watch[T]) get(ctx context.Context) (map[string]T, error) {
	w.mu.Lock()
	w.asked = time.Now()
	if !w.running {
		w.running, w.listed = true, make(chan struct{})
		go w.run()
	}
	listed := w.listed
	w.mu.Unlock()
	select {
	case <-listed:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return nil, w.err
	}
	all := make(map[string]T, len(w.all))
	for name, object := range w.all {
		all[name] = object
	}
	return all, nil
}

// run lists and watches until nobody asks any more.
func (w *watch[T]) run() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go w.until(ctx, cancel)
	pause := w.client.pause
	for ctx.Err() == nil {
		version, err := w.list(ctx)
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		w.err = err
		select {
		case <-w.listed:
		default:
			close(w.listed)
		}
		w.mu.Unlock()
		if err == nil {
			pause = w.client.pause
			err = w.follow(ctx, version)
		}
		if code(err) == http.StatusGone {
			continue
		}
		select {
		case <-time.After(pause):
			pause = min(2*pause, time.Minute)
		case <-ctx.Done():
		}
	}
}

// until ends a watch that nobody has asked for a while.
func (w *watch[T]) until(ctx context.Context, cancel func()) {
	for tick := time.NewTicker(idle / 10); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		w.mu.Lock()
		if time.Since(w.asked) > idle {
			w.running = false
			cancel()
		}
		w.mu.Unlock()
	}
}

// page is how many objects are listed at a time.
const page = 500

func (w *watch[T]) list(ctx context.Context) (version string, err error) {
	all, next := map[string]T{}, ""
	for {
		query := url.Values{"labelSelector": {w.selector}, "limit": {fmt.Sprint(page)}}
		if next != "" {
			query.Set("continue", next)
		}
		var l api.List[T]
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		err := w.client.do(ctx, "GET", w.path+"?"+query.Encode(), nil, &l)
		cancel()
		if err != nil {
			return "", err
		}
		for i := range l.Items {
			all[w.meta(&l.Items[i]).Name] = l.Items[i]
		}
		version, next = l.Metadata.ResourceVersion, l.Metadata.Continue
		if next == "" {
			break
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = all
	w.lists++
	return version, nil
}

// follow takes changes from a version on, over as many connections as that takes, until the
// server does not know the version any more or cannot be asked.
func (w *watch[T]) follow(ctx context.Context, version string) error {
	for failed := 0; ; {
		last, err := w.connection(ctx, version)
		w.mu.Lock()
		w.cuts++
		w.mu.Unlock()
		if last != version {
			version, failed = last, 0
		}
		if ctx.Err() != nil || code(err) == http.StatusGone {
			return err
		}
		if failed++; failed > tries { // what has happened meanwhile is not known
			return err
		}
		select {
		case <-time.After(w.client.pause):
		case <-ctx.Done():
		}
	}
}

// longest is how long the server is asked to keep a connection.
const longest = 5 * time.Minute

// change is something that has happened to an object.
type change struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// connection takes changes until the connection ends, and returns the last version.
func (w *watch[T]) connection(ctx context.Context, version string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, longest+30*time.Second) // a connection that died without a word
	defer cancel()
	query := url.Values{"labelSelector": {w.selector}, "watch": {"1"}, "allowWatchBookmarks": {"true"},
		"resourceVersion": {version}, "timeoutSeconds": {fmt.Sprint(int(longest.Seconds()))}}
	r, err := w.client.open(ctx, "GET", w.path+"?"+query.Encode(), nil)
	if err != nil {
		return version, err
	}
	defer r.Close()
	for d := json.NewDecoder(r); ; {
		var c change
		if err := d.Decode(&c); err != nil {
			return version, err
		}
		if c.Type == "ERROR" {
			s := &api.Status{}
			if err := json.Unmarshal(c.Object, s); err != nil {
				return version, err
			}
			return version, s
		}
		var object T
		if err := json.Unmarshal(c.Object, &object); err != nil {
			return version, err
		}
		version = w.take(c.Type, object)
	}
}

// take takes a change, and returns its version.
func (w *watch[T]) take(what string, object T) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	meta := w.meta(&object)
	switch what {
	case "DELETED":
		delete(w.all, meta.Name)
	case "ADDED", "MODIFIED":
		w.all[meta.Name] = object
	}
	return meta.ResourceVersion
}
