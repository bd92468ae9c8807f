// Package relay carries jobs to nodes that share no file system with the runner, by way of the
// cache that a team shares. That cache has, for each batch of jobs, sealed files:
//
//	3.job          what element 3 performs
//	3.0, 3.1       that it was started, and once more
//	3.0.1, 3.0.2   what it has said since, in parts, each at least a second after the one before
//	3.checkpoint   where to go on with it
//
// What jobs read and make are objects of the cache like any other, and results are records. The
// runner on a node has a store of its own, which ends with the job: in it a job is performed as
// on a node that shares the runner's, and what it writes there is carried on.
package relay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/store"
	"eyrie/artifacts/team"
	"eyrie/artifacts/tree"
	"eyrie/pipeline"
	"eyrie/pipeline/cluster"
)

// Order is what the runner on a node must know. It has no credentials for the cache: those are
// the node's own.
type Order struct {
	Format  int             `json:"format"`
	Batch   string          `json:"batch"`
	Size    int             `json:"size"`
	Token   []byte          `json:"token"`             // by which the batch's files are sealed
	Caches  json.RawMessage `json:"caches"`            // how to open them, in the caller's words
	Scratch string          `json:"scratch,omitempty"` // the directory for the node's store; "" for a temporary one
	Pace    time.Duration   `json:"pace"`              // ns, between parts at least
}

// orderFormat is the version of an Order in JSON.
const orderFormat = 1

// ParseOrder reads an order.
func ParseOrder(text string) (o Order, err error) {
	if err = json.Unmarshal([]byte(text), &o); err == nil && o.Format != orderFormat {
		err = fmt.Errorf("it has format %d, and this runner knows %d", o.Format, orderFormat)
	}
	if err != nil {
		return o, fmt.Errorf("the order in %s: %w", cluster.OrderVariable, err)
	}
	return o, nil
}

// Carrier is a cluster.Carrier.
type Carrier struct {
	Store   *store.Store
	Cache   *team.Cache     // behind the store
	Bucket  blob.Bucket     // one of its buckets, that is written to
	Caches  json.RawMessage // see Order
	Scratch string          // likewise
	Pace    time.Duration   // likewise; 0 for a second

	mu      sync.Mutex
	readers map[string]*reader // by an element's files
}

var _ cluster.Carrier = (*Carrier)(nil)

// Pack does what [cluster.Carrier] says. Files that the recipe names become objects: the node
// has no such paths.
func (c *Carrier) Pack(ctx context.Context, job *pipeline.Job) (*pipeline.Job, error) {
	packed := *job
	packed.Inputs = make([]pipeline.Input, len(job.Inputs))
	files := make([]artifacts.File, len(job.Inputs))
	err := tree.Each(ctx, len(job.Inputs), func(ctx context.Context, i int) (err error) {
		files[i], err = c.object(ctx, job.Inputs[i])
		packed.Inputs[i] = pipeline.Input{File: files[i]}
		return err
	})
	if err != nil {
		return nil, err
	}
	err = c.Cache.Push(ctx, c.Store, job.Action, files)
	if errors.Is(err, team.ErrAway) {
		err = fmt.Errorf("%w: %w", cluster.ErrBusy, err)
	}
	return &packed, err
}

// object makes sure that an input is in the store.
func (c *Carrier) object(ctx context.Context, in pipeline.Input) (artifacts.File, error) {
	path := in.Path
	if path == "" { // a tree may lie outside, where this machine alone reads it
		f, err := c.Store.Locate(ctx, in.File)
		if err != nil || !f.Tree || c.Store.Contains(f.Path) {
			return in.File, err
		}
		path = f.Path
	}
	now, err := c.Store.Import(ctx, path)
	if err == nil && now.Digest != in.File.Digest {
		err = fmt.Errorf("%s has changed since it was looked at; run again", path)
	}
	return in.File, err
}

// Send does what [cluster.Carrier] says.
func (c *Carrier) Send(ctx context.Context, b *cluster.Batch) (string, error) {
	o := Order{Format: orderFormat, Batch: b.Name, Size: b.Size, Token: make([]byte, 32), Caches: c.Caches, Scratch: c.Scratch, Pace: c.pace()}
	_, _ = rand.Read(o.Token) // never fails
	text, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(b.Dir, orderName), text, 0o600); err != nil {
		return "", err
	}
	to := o.box(c.Bucket)
	return string(text), tree.Each(ctx, b.Size, func(ctx context.Context, i int) error {
		content, err := os.ReadFile(filepath.Join(b.Dir, jobFile(i)))
		if err != nil {
			return err
		}
		return to.put(ctx, jobFile(i), content)
	})
}

// orderName is the name of the file, in a batch's directory, that says what was ordered.
const orderName = "order"

func (c *Carrier) pace() time.Duration {
	if c.Pace > 0 {
		return c.Pace
	}
	return time.Second
}

func (o *Order) box(b blob.Bucket) *box { return &box{bucket: b, batch: o.Batch, token: o.Token} }

func readOrder(dir string) (o Order, err error) {
	text, err := os.ReadFile(filepath.Join(dir, orderName))
	if err != nil {
		return o, err
	}
	return ParseOrder(string(text))
}

// Accept does what [cluster.Carrier] says.
func (c *Carrier) Accept(ctx context.Context, job *pipeline.Job, r store.Record) error {
	encoded, err := store.EncodeRecord(r)
	if err == nil {
		_, err = store.DecodeRecord(encoded, job.Action)
	}
	if err != nil {
		return fmt.Errorf("what the node says is not this step's result: %w", err)
	}
	if job.Rerun { // there is one already, which this one takes the place of
		return c.Store.Keep(ctx, r)
	}
	return c.Cache.Learn(r)
}

// reader reads what an element says. Two that read the same, of two runners, write the same
// bytes at the same places.
type reader struct {
	box         *box
	path        string // of the element's files, without what follows
	element     int
	start, next int   // of the part that comes next
	events, log int64 // bytes that were read
	wait        time.Duration
	due         time.Time
}

// longestWait is between two looks for what an element says that says nothing.
const longestWait = 10 * time.Second

// Receive does what [cluster.Carrier] says.
func (c *Carrier) Receive(ctx context.Context, dir string, element int, now bool) error {
	r, err := c.reader(dir, element)
	if err != nil || !now && time.Now().Before(r.due) {
		return err
	}
	more, err := r.receive(ctx)
	if more {
		r.wait = c.pace()
	} else {
		r.wait = min(max(3*r.wait/2, c.pace()), longestWait)
	}
	r.due = time.Now().Add(r.wait)
	if err != nil && !errors.Is(err, blob.ErrRefused) && !errors.Is(err, errForged) {
		err = fmt.Errorf("%w: %w", cluster.ErrBusy, err)
	}
	return err
}

func (c *Carrier) reader(dir string, element int) (*reader, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	path := filepath.Join(dir, strconv.Itoa(element))
	if r := c.readers[path]; r != nil {
		return r, nil
	}
	o, err := readOrder(dir)
	if err != nil {
		return nil, err
	}
	if c.readers == nil {
		c.readers = map[string]*reader{}
	}
	r := &reader{box: o.box(c.Bucket), path: path, element: element, next: 1}
	c.readers[path] = r
	return r, nil
}

// receive reads all parts that there are, and reports whether there was one.
func (r *reader) receive(ctx context.Context) (more bool, err error) {
	for {
		text, err := r.box.get(ctx, partFile(r.element, r.start, r.next))
		if errors.Is(err, fs.ErrNotExist) {
			again, err := r.restarted(ctx)
			if !again || err != nil {
				return more, err
			}
			continue
		} else if err != nil {
			return more, err
		}
		var p part
		if err := json.Unmarshal(text, &p); err != nil {
			return more, err
		}
		if err := r.write(p); err != nil {
			return more, err
		}
		more = true
		r.next++
	}
}

// restarted goes on with what the element says since it was started again, if it was.
func (r *reader) restarted(ctx context.Context) (bool, error) {
	_, err := r.box.get(ctx, startFile(r.element, r.start+1))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	r.start, r.next, r.events = r.start+1, 1, 0
	return true, r.write(part{})
}

// write adds a part to the files that stand for it here.
func (r *reader) write(p part) error {
	err := writeAt(fmt.Sprintf("%s.%d.events", r.path, r.start), p.Events, r.events)
	if err == nil {
		err = writeAt(r.path+".log", p.Log, r.log)
	}
	if err == nil {
		r.events, r.log = r.events+int64(len(p.Events)), r.log+int64(len(p.Log))
	}
	return err
}

func writeAt(path string, b []byte, at int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, at)
	return errors.Join(err, f.Close())
}

// Remove does what [cluster.Carrier] says.
func (c *Carrier) Remove(ctx context.Context, dir string) error {
	o, err := readOrder(dir)
	if err != nil {
		return err
	}
	c.mu.Lock()
	for i := range o.Size {
		delete(c.readers, filepath.Join(dir, strconv.Itoa(i)))
	}
	c.mu.Unlock()
	return tree.Each(ctx, o.Size, o.box(c.Bucket).removeElement)
}

// removeElement removes an element's files: parts from the first to the last that there is.
func (b *box) removeElement(ctx context.Context, element int) error {
	for _, name := range []string{jobFile(element), checkpointFile(element)} {
		if _, err := b.remove(ctx, name); err != nil {
			return err
		}
	}
	for start := 0; ; start++ {
		for n := 1; ; n++ {
			if was, err := b.remove(ctx, partFile(element, start, n)); err != nil {
				return err
			} else if !was {
				break
			}
		}
		if was, err := b.remove(ctx, startFile(element, start)); !was || err != nil {
			return err
		}
	}
}
