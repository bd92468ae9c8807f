package team_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/blob"
	"eyrie/artifacts/blob/blobtest"
	"eyrie/artifacts/store"
	"eyrie/artifacts/store/storetest"
	"eyrie/artifacts/team"
	"eyrie/artifacts/tree"
)

// mem is a bucket in memory, of which a test says whether it is to be had.
type mem struct {
	blob.Bucket
	err error
}

func (m mem) Check(context.Context, bool) error { return m.err }
func (m mem) String() string                    { return "memory" }

// machine is one of those that share a bucket.
type machine struct {
	*store.Store
	cache   *team.Cache
	mu      sync.Mutex
	notices []string
}

func newMachine(t testing.TB, sources ...team.Source) *machine {
	t.Helper()
	m := &machine{Store: storetest.New(t)}
	var err error
	m.cache, err = team.Open(t.Context(), sources, store.Shared{By: "somebody", Host: "here", Runner: "test"}, func(text string) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.notices = append(m.notices, text)
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Back(m.cache)
	return m
}

// writer and reader are machines that may and may not publish.
func writer(t testing.TB, b blob.Bucket) *machine {
	return newMachine(t, team.Source{Name: "team", Bucket: mem{b, nil}, Write: true})
}

func reader(t testing.TB, b blob.Bucket) *machine {
	return newMachine(t, team.Source{Name: "team", Bucket: mem{b, nil}})
}

// record makes the result of the nth action on a machine: a tree of two files, and one of them.
func (m *machine) record(t testing.TB, n int) store.Record {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"file", "tool"} {
		if err := os.WriteFile(filepath.Join(dir, name), fmt.Append(nil, name, n), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := m.Import(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	file, err := m.Import(t.Context(), filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	preimage := json.RawMessage(fmt.Sprintf(`{"a":%d}`, n))
	r := store.Record{Action: artifacts.NewActionID(preimage), Preimage: preimage, Output: json.RawMessage(`1`),
		Objects: []artifacts.File{tree, file}, Step: "step"}
	if err := m.Record(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// publish makes a result and publishes it.
func (m *machine) publish(t testing.TB, n int) store.Record {
	t.Helper()
	r := m.record(t, n)
	m.Share(r)
	m.cache.Wait(t.Context())
	return r
}

func objectKey(f artifacts.File) blob.Key { return blob.Key{Kind: blob.Object, Hash: f.Digest} }

// isMiss fails the test unless an action has no result.
func isMiss(t testing.TB, m *machine, r store.Record) {
	t.Helper()
	if got, err := m.Lookup(t.Context(), r.Action); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Lookup: %+v, %v", got, err)
	}
}

// A store does what it does whatever is behind it.
func TestStoreBacked(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return writer(t, new(blobtest.Mem)).Store })
}

// What one machine did another one finds and can read, trees too. Objects come when they are
// read, and the record is the other's own once it has all of them.
func TestMachinesShare(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	other := reader(t, b)
	got, err := other.Lookup(t.Context(), r.Action)
	if err != nil || string(got.Output) != "1" || got.Shared.By != "somebody" {
		t.Fatalf("Lookup: %+v, %v", got, err)
	}
	if err := other.Holds(t.Context(), r.Objects[1]); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before it was read the file is there: %v", err)
	}
	tree, err := other.Fetch(t.Context(), got.Objects[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file", "tool"} {
		fi, err := os.Stat(tree.Join(name))
		if err != nil || fi.Mode()&0o100 == 0 {
			t.Errorf("%s is %v, %v", name, fi, err)
		}
	}
	if h, err := other.Hash(t.Context(), tree.Path); err != nil || h.Digest != tree.Digest {
		t.Errorf("the fetched tree is %v, %v", h, err)
	}
	if err := other.KeepWhole(t.Context(), []store.Record{got}); err != nil {
		t.Fatal(err)
	}
	other.Back(nil)
	if _, err := other.Lookup(t.Context(), r.Action); err != nil {
		t.Errorf("without what is behind it: %v", err)
	}
}

// A claim takes all that a result consists of, so that it cannot turn out to be a miss later.
func TestClaimed(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	other := reader(t, b)
	if _, err := other.Claim(t.Context(), r.Action); err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Objects {
		if err := other.Holds(t.Context(), f); err != nil {
			t.Error(err)
		}
	}
}

// An object that is damaged in the bucket is never read. From then on the record is a miss,
// and when a machine that may write does the step again all is well.
func TestDamagedInTheBucket(t *testing.T) {
	for what, bad := range map[string]string{"changed": "FILE1", "cut": "fil", "longer": "file1.", "empty": ""} {
		b := new(blobtest.Mem)
		r := writer(t, b).publish(t, 1)
		if err := b.Put(t.Context(), objectKey(r.Objects[1]), strings.NewReader(bad)); err != nil {
			t.Fatal(err)
		}
		other := writer(t, b)
		if _, err := other.Lookup(t.Context(), r.Action); (err != nil) != (len(bad) != len("file1")) { // what its size shows is not fetched
			t.Fatalf("%s: Lookup: %v", what, err)
		}
		for _, f := range r.Objects {
			if got, err := other.Fetch(t.Context(), f); !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: Fetch: %v, %v", what, got, err)
			}
		}
		isMiss(t, other, r)
		if _, err := reader(t, b).Claim(t.Context(), r.Action); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: a reader's claim: %v", what, err)
		}
		other.publish(t, 1)
		if _, err := reader(t, b).Claim(t.Context(), r.Action); err != nil {
			t.Errorf("%s, done again: %v", what, err)
		}
	}
}

// A file of a tree that is damaged makes the record of the tree a miss.
func TestDamagedInATree(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	if err := b.Put(t.Context(), blob.Key{Kind: blob.Object, Hash: artifacts.Sum([]byte("tool1"))}, strings.NewReader("loot1")); err != nil {
		t.Fatal(err)
	}
	other := reader(t, b)
	if err := other.Bring(t.Context(), r.Objects); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Bring: %v", err)
	}
	isMiss(t, other, r)
}

// A record that is damaged, another action's, or no record at all is a miss, and is made good
// by the next writer.
func TestDamagedRecord(t *testing.T) {
	b := new(blobtest.Mem)
	w := writer(t, b)
	r, foreign := w.publish(t, 1), w.publish(t, 2)
	key := blob.Key{Kind: blob.Action, Hash: r.Action}
	whole, another := read(t, b, key), read(t, b, blob.Key{Kind: blob.Action, Hash: foreign.Action})
	for _, bad := range []string{"", "{}", whole[:len(whole)/2], strings.Replace(whole, `"output": 1`, `"output": 2`, 1), another} {
		if err := b.Put(t.Context(), key, strings.NewReader(bad)); err != nil {
			t.Fatal(err)
		}
		isMiss(t, reader(t, b), r)
		writer(t, b).publish(t, 1)
		if _, err := reader(t, b).Lookup(t.Context(), r.Action); err != nil {
			t.Error(err)
		}
	}
}

// A record that is sealed as it must be, and that no store would have made, is a miss: no size and no
// time of it is ever shown, and no text that would play with a terminal. It is made good by the
// next writer.
func TestForgedRecord(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	key := blob.Key{Kind: blob.Action, Hash: r.Action}
	for what, forge := range map[string]func(*store.Record){
		"a negative size":        func(r *store.Record) { r.Objects[1].Size = -1 },
		"another size":           func(r *store.Record) { r.Objects[1].Size = 1e18 },
		"no digest":              func(r *store.Record) { r.Objects[1].Digest = artifacts.Digest{} },
		"no time":                func(r *store.Record) { r.Elapsed = -time.Hour },
		"a step for a terminal":  func(r *store.Record) { r.Step = "a\x1b[2Jb" },
		"a run of two lines":     func(r *store.Record) { r.Run = "a\nb" },
		"a person of two lines":  func(r *store.Record) { r.Shared = &store.Shared{By: "me\nerror: none"} },
		"a host for a terminal":  func(r *store.Record) { r.Shared = &store.Shared{Host: "\u009b31m"} },
		"text that runs back":    func(r *store.Record) { r.Shared = &store.Shared{By: "\u202eecila"} },
		"an adopter":             func(r *store.Record) { r.Adopted = &store.Adopted{Runner: "\r"} },
		"a file beside the list": func(r *store.Record) { r.Output = handleOf(t, artifacts.File{Digest: artifacts.Sum(nil)}) },
		"a file of another size": func(r *store.Record) {
			f := r.Objects[1]
			f.Size++
			r.Output = handleOf(t, f)
		},
	} {
		forged := r
		forged.Objects = append([]artifacts.File(nil), r.Objects...)
		forge(&forged)
		encoded, err := store.EncodeRecord(forged)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := b.Put(t.Context(), key, bytes.NewReader(encoded)); err != nil {
			t.Fatal(err)
		}
		m := reader(t, b)
		if got, err := m.Lookup(t.Context(), r.Action); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
		if text := strings.Join(m.notices, ""); what != "another size" && !strings.Contains(text, "no runner has published") || strings.ContainsAny(text, "\x1b\n\u202e") {
			t.Errorf("%s: notices: %q", what, m.notices)
		}
		writer(t, b).publish(t, 1)
		if _, err := reader(t, b).Claim(t.Context(), r.Action); err != nil {
			t.Errorf("%s, made again: %v", what, err)
		}
	}
}

// Any name that somebody may have is none of that.
func TestNames(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	r.Step, r.Shared = "a[\"naïve\u00a0👩\u200d💻\"]", &store.Shared{By: "Ünal Öz", Host: "h-1.example"}
	encoded, err := store.EncodeRecord(r)
	if err == nil {
		err = b.Put(t.Context(), blob.Key{Kind: blob.Action, Hash: r.Action}, bytes.NewReader(encoded))
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := reader(t, b).Lookup(t.Context(), r.Action); err != nil || got.Step != r.Step {
		t.Errorf("%+v, %v", got, err)
	}
}

func handleOf(t testing.TB, f artifacts.File) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The size of a tree is that of its files, whatever a record says, and of a file that the machine has,
// too.
func TestForgedSize(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	for i := range r.Objects {
		forged := r
		forged.Objects = append([]artifacts.File(nil), r.Objects...)
		forged.Objects[i].Size++
		encoded, err := store.EncodeRecord(forged)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Put(t.Context(), blob.Key{Kind: blob.Action, Hash: r.Action}, bytes.NewReader(encoded)); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*machine{reader(t, b), reader(t, b)} {
			if got, err := m.Claim(t.Context(), r.Action); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("object %d: %+v, %v", i, got, err)
			}
			isMiss(t, m, r)
			if err := m.Bring(t.Context(), r.Objects); err == nil { // it has all files now, and still believes no other size
				isMiss(t, m, r)
			}
		}
	}
}

func read(t testing.TB, b blob.Bucket, key blob.Key) string {
	t.Helper()
	r, err := b.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// An object that is gone from the bucket makes the record a miss where no copy is; with the
// next machine that does the step it is there again.
func TestGoneFromTheBucket(t *testing.T) {
	b := new(blobtest.Mem)
	first := writer(t, b)
	r := first.publish(t, 1)
	if err := b.Delete(t.Context(), objectKey(r.Objects[1])); err != nil {
		t.Fatal(err)
	}
	isMiss(t, reader(t, b), r)
	if _, err := first.Lookup(t.Context(), r.Action); err != nil {
		t.Errorf("with a copy: %v", err)
	}
	writer(t, b).publish(t, 1)
	if _, err := reader(t, b).Lookup(t.Context(), r.Action); err != nil {
		t.Errorf("done again: %v", err)
	}
}

// down is a bucket whose network has gone.
type down struct {
	blob.Bucket
	gone  atomic.Bool
	asked atomic.Int64
}

var errAway = errors.New("no route to host")

func (d *down) Open(ctx context.Context, key blob.Key) (io.ReadCloser, error) {
	d.asked.Add(1)
	if d.gone.Load() {
		return nil, errAway
	}
	return d.Bucket.Open(ctx, key)
}

func (d *down) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	d.asked.Add(1)
	if d.gone.Load() {
		return blob.Info{}, errAway
	}
	return d.Bucket.Stat(ctx, key)
}

// A bucket that does not answer costs its results, one warning, and nothing else.
func TestBucketAway(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	network := &down{Bucket: b}
	m := reader(t, network)
	if _, err := m.Lookup(t.Context(), r.Action); err != nil {
		t.Fatal(err)
	}
	network.gone.Store(true)
	for n := range 10 {
		isMiss(t, m, store.Record{Action: artifacts.NewActionID(fmt.Append(nil, n))})
	}
	if err := m.Bring(t.Context(), r.Objects); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Bring: %v", err)
	}
	m.record(t, 3) // the local store goes on
	if len(m.notices) != 1 || !strings.Contains(m.notices[0], "no route") {
		t.Errorf("notices: %q", m.notices)
	}
	if text := m.cache.Lost(); !strings.Contains(text, "12 requests") {
		t.Errorf("%q", text)
	}
}

// A bucket that was away is asked again after a while, seldom at first and then more seldom, and used
// when it is back: a run takes longer than the restart of a server. What could not be published
// meanwhile is published in the end.
func TestBucketBack(t *testing.T) {
	b := new(blobtest.Mem)
	other := writer(t, b).publish(t, 9)
	network := &down{Bucket: b}
	network.gone.Store(true)
	m := writer(t, network)
	first, second := m.record(t, 1), m.record(t, 2)
	lookup := func(n int) error {
		_, err := m.cache.Record(t.Context(), artifacts.NewActionID(fmt.Append(nil, n)))
		return err
	}
	synctest.Test(t, func(t *testing.T) {
		for n := range 4 { // the last one is not asked for
			_ = lookup(n)
		}
		asked := network.asked.Load()
		for range 60 * 60 { // an hour
			time.Sleep(time.Second)
			_ = lookup(1000 + int(time.Now().Unix()))
		}
		if n := network.asked.Load() - asked; n < 8 || n > 12 {
			t.Errorf("asked %d times in an hour", n)
		}
		network.gone.Store(false)
		time.Sleep(10 * time.Minute)
		if r, err := m.cache.Record(t.Context(), other.Action); err != nil || r.Action != other.Action {
			t.Errorf("it is back, and not asked: %v", err)
		}
	})
	if text := strings.Join(m.notices, "\n"); len(m.notices) != 2 || !strings.Contains(text, "answers again") {
		t.Errorf("notices: %q", text)
	}

	network = &down{Bucket: b}
	network.gone.Store(true)
	m.cache = writer(t, network).cache
	m.Back(m.cache)
	m.Share(first)
	m.Share(second)
	for m.cache.Lost() == "" {
		time.Sleep(time.Millisecond)
	}
	network.gone.Store(false)
	if p := m.cache.Wait(t.Context()); p.Sent != 2 || p.Failed != 0 {
		t.Errorf("published: %s", p)
	}
	if _, err := reader(t, b).Claim(t.Context(), second.Action); err != nil {
		t.Error(err)
	}
}

// Whoever insists waits for a bucket that is away, with whatever it asks; not for one that refuses.
func TestInsist(t *testing.T) {
	b := new(blobtest.Mem)
	network := &down{Bucket: b}
	m := writer(t, network)
	m.cache.Insist(time.Hour)
	r, other := m.record(t, 1), m.record(t, 2)
	network.gone.Store(true)
	synctest.Test(t, func(t *testing.T) {
		go func() {
			time.Sleep(30 * time.Minute)
			network.gone.Store(false)
		}()
		if err := m.cache.Publish(t.Context(), m.Store, r); err != nil {
			t.Error(err)
		}
	})
	if _, err := reader(t, b).Claim(t.Context(), r.Action); err != nil {
		t.Error(err)
	}
	refusing := writer(t, refuses{b})
	refusing.cache.Insist(time.Hour)
	if err := refusing.cache.Publish(t.Context(), m.Store, other); !errors.Is(err, blob.ErrRefused) || errors.Is(err, team.ErrAway) {
		t.Errorf("of a bucket that refuses: %v", err)
	}
}

// refuses is a bucket that takes nothing.
type refuses struct{ blob.Bucket }

func (refuses) Put(context.Context, blob.Key, io.ReadSeeker) error { return blob.ErrRefused }

// endless is a bucket whose objects never come to their end.
type endless struct {
	blob.Bucket
	reads chan struct{}
}

func (e endless) Open(ctx context.Context, key blob.Key) (io.ReadCloser, error) {
	if key.Kind != blob.Object {
		return e.Bucket.Open(ctx, key)
	}
	return io.NopCloser(until{ctx, e.reads}), nil
}

// until is content that ends with a context.
type until struct {
	ctx   context.Context
	reads chan struct{}
}

func (u until) Read([]byte) (int, error) {
	u.reads <- struct{}{}
	<-u.ctx.Done()
	return 0, u.ctx.Err()
}

// flood is a bucket whose objects have no end.
type flood struct{ blob.Bucket }

func (f flood) Open(ctx context.Context, key blob.Key) (io.ReadCloser, error) {
	if key.Kind != blob.Object {
		return f.Bucket.Open(ctx, key)
	}
	return io.NopCloser(zeros{}), nil
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// Of a file no more is fetched than it has.
func TestNoEnd(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	m := reader(t, flood{b})
	if err := m.Bring(t.Context(), r.Objects[1:]); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("Bring: %v", err)
	}
	isMiss(t, m, r)
	if n := m.AllArrived(); n > 3<<20 {
		t.Errorf("%d bytes were read", n)
	}
}

// Whoever interrupts a run while an object is on its way hears nothing bad of the bucket.
func TestInterruptedDownload(t *testing.T) {
	b := endless{new(blobtest.Mem), make(chan struct{})}
	r := writer(t, b.Bucket).publish(t, 1)
	m := reader(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-b.reads
		cancel()
	}()
	if err := m.Bring(ctx, r.Objects[1:]); err == nil {
		t.Error("what never came is here")
	}
	if text := m.cache.Lost(); text != "" || len(m.notices) > 0 {
		t.Errorf("%q, notices: %q", text, m.notices)
	}
}

// A bucket that cannot be reached when a run begins is left out; one that refuses is an
// error, as somebody must set something right.
func TestOpen(t *testing.T) {
	m := newMachine(t, team.Source{Name: "team", Bucket: mem{new(blobtest.Mem), errAway}})
	isMiss(t, m, store.Record{})
	if len(m.notices) != 1 || !strings.Contains(m.notices[0], `cache "team" cannot be reached`) {
		t.Errorf("notices: %q", m.notices)
	}
	refused := fmt.Errorf("%w: no such bucket", blob.ErrRefused)
	_, err := team.Open(t.Context(), []team.Source{{Name: "team", Bucket: mem{new(blobtest.Mem), refused}}}, store.Shared{}, nil)
	if !errors.Is(err, blob.ErrRefused) || !strings.Contains(err.Error(), `cache "team"`) {
		t.Errorf("refused: %v", err)
	}
}

// A machine that only reads puts nothing into the bucket.
func TestReaderWritesNothing(t *testing.T) {
	b := new(blobtest.Mem)
	reader(t, b).publish(t, 1)
	for _, kind := range []blob.Kind{blob.Object, blob.Action} {
		for info, err := range b.List(t.Context(), kind) {
			t.Errorf("the bucket has %v, %v", info, err)
		}
	}
}

// keyPair returns a pair of keys.
func keyPair(t testing.TB) (ed25519.PublicKey, ed25519.PrivateKey) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	public, err := team.NewKey(path)
	if err != nil {
		t.Fatal(err)
	}
	private, err := team.ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return public, private
}

// Whoever names keys takes only what one of these has signed, to the last word of the record.
func TestTrust(t *testing.T) {
	public, private := keyPair(t)
	other, _ := keyPair(t)
	b := new(blobtest.Mem)
	signer := newMachine(t, team.Source{Name: "team", Bucket: mem{b, nil}, Write: true, Sign: private})
	r := signer.publish(t, 1)
	trusting := func(keys ...ed25519.PublicKey) *machine {
		return newMachine(t, team.Source{Name: "team", Bucket: mem{b, nil}, Trust: keys})
	}
	for _, m := range []*machine{trusting(public), trusting(other, public), trusting()} {
		if _, err := m.Claim(t.Context(), r.Action); err != nil || len(m.notices) > 0 {
			t.Errorf("%v, %q", err, m.notices)
		}
	}
	m := trusting(other)
	isMiss(t, m, r)
	isMiss(t, m, r)
	if len(m.notices) != 1 {
		t.Errorf("notices: %q", m.notices)
	}
	unsigned := writer(t, b).publish(t, 2)
	isMiss(t, trusting(public), unsigned)

	key := blob.Key{Kind: blob.Action, Hash: r.Action}
	whole, err := store.DecodeRecord([]byte(read(t, b, key)), r.Action)
	if err != nil {
		t.Fatal(err)
	}
	for what, forge := range map[string]func(*store.Record){
		"output":   func(r *store.Record) { r.Output = json.RawMessage(`2`) },
		"objects":  func(r *store.Record) { r.Objects = r.Objects[:1] },
		"step":     func(r *store.Record) { r.Step = "another" },
		"adopted":  func(r *store.Record) { r.Adopted = &store.Adopted{} },
		"unsigned": func(r *store.Record) { r.Shared = nil },
		"by":       func(r *store.Record) { s := *r.Shared; s.By = "another"; r.Shared = &s },
		"key":      func(r *store.Record) { s := *r.Shared; s.Key = team.FormatKey(other); r.Shared = &s },
	} {
		forged := whole
		forge(&forged)
		text, err := store.EncodeRecord(forged)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Put(t.Context(), key, strings.NewReader(string(text))); err != nil {
			t.Fatal(err)
		}
		if _, err := trusting(public).Lookup(t.Context(), r.Action); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("forged %s: %v", what, err)
		}
	}
}

// Keys that are none are refused, and a private one is not quoted.
func TestKeys(t *testing.T) {
	if _, err := team.ParseKey("ed25519:short"); err == nil {
		t.Error("no key is taken for one")
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := team.ReadKey(path); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	if _, err := team.NewKey(path); err == nil {
		t.Error("a key's file is written over")
	}
}

// Of two results of one action the first stays, and the second is told to be different.
func TestFirstStays(t *testing.T) {
	b := new(blobtest.Mem)
	one, two := writer(t, b), writer(t, b)
	r := one.publish(t, 1)
	mine := two.record(t, 1)
	mine.Output = json.RawMessage(`2`)
	two.Share(mine)
	if p := two.cache.Wait(t.Context()); p.There != 1 || len(p.Differ) != 1 {
		t.Errorf("%+v", p)
	}
	if got, err := reader(t, b).Lookup(t.Context(), r.Action); err != nil || string(got.Output) != "1" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Two machines that publish the same at the same time leave it whole, once.
func TestTwoWriters(t *testing.T) {
	b := new(blobtest.Mem)
	machines := []*machine{writer(t, b), writer(t, b)}
	const n = 50
	var wg sync.WaitGroup
	sums := make([]team.Published, len(machines))
	for i, m := range machines {
		wg.Go(func() {
			for k := range n {
				m.Share(m.record(t, k))
			}
			sums[i] = m.cache.Wait(t.Context())
		})
	}
	wg.Wait()
	if sent, there := sums[0].Sent+sums[1].Sent, sums[0].There+sums[1].There; sent != n || there != n {
		t.Errorf("%+v", sums)
	}
	m := reader(t, b)
	for k := range n {
		if _, err := m.Claim(t.Context(), artifacts.NewActionID(fmt.Appendf(nil, `{"a":%d}`, k))); err != nil {
			t.Error(k, err)
		}
	}
}

// stuck is a bucket that takes no object, and does not say so.
type stuck struct{ blob.Bucket }

func (s stuck) Put(ctx context.Context, key blob.Key, content io.ReadSeeker) error {
	if key.Kind != blob.Object {
		return s.Bucket.Put(ctx, key, content)
	}
	<-ctx.Done()
	return ctx.Err()
}

// A bucket that takes nothing, and does not say so, keeps nobody waiting for ever.
func TestStuckUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := writer(t, stuck{new(blobtest.Mem)})
		start := time.Now()
		m.publish(t, 1)
		if p := m.cache.Wait(t.Context()); p.Failed != 1 || len(m.notices) != 1 || !strings.Contains(m.notices[0], "nothing of an object was taken for 5m0s") {
			t.Errorf("%s, %q", p, m.notices)
		}
		if took := time.Since(start); took > time.Hour {
			t.Errorf("it took %v", took)
		}
	})
}

// A result whose files another machine has published, and this one never had, counts as there.
func TestPublishedElsewhere(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	m := writer(t, b)
	m.Share(r)
	if p := m.cache.Wait(t.Context()); p.There != 1 || p.Failed != 0 || len(m.notices) > 0 {
		t.Errorf("%s, %q", p, m.notices)
	}
}

// Of several buckets the first that has a result gives it, and all that may be are written to.
func TestSeveralBuckets(t *testing.T) {
	one, two := new(blobtest.Mem), new(blobtest.Mem)
	r := writer(t, two).publish(t, 1)
	m := newMachine(t, team.Source{Name: "one", Bucket: mem{one, nil}, Write: true}, team.Source{Name: "two", Bucket: mem{two, nil}})
	if _, err := m.Claim(t.Context(), r.Action); err != nil {
		t.Error(err)
	}
	r = m.publish(t, 2)
	if _, err := reader(t, one).Claim(t.Context(), r.Action); err != nil {
		t.Error(err)
	}
	isMiss(t, reader(t, two), r)
}

// What one bucket has spoilt, or does not have, another one gives: a broken cache before a sound one
// costs time and nothing else.
func TestOneOfTwoIsBroken(t *testing.T) {
	for what, breaks := range map[string]func(b *blobtest.Mem, key blob.Key) (blob.Bucket, error){
		"changed": func(b *blobtest.Mem, key blob.Key) (blob.Bucket, error) {
			return b, b.Put(t.Context(), key, strings.NewReader("FILE1"))
		},
		"gone":   func(b *blobtest.Mem, key blob.Key) (blob.Bucket, error) { return b, b.Delete(t.Context(), key) },
		"broken": func(b *blobtest.Mem, _ blob.Key) (blob.Bucket, error) { return breaking{b}, nil },
	} {
		bad, good := new(blobtest.Mem), new(blobtest.Mem)
		r := writer(t, bad).publish(t, 1)
		writer(t, good).publish(t, 1)
		broken, err := breaks(bad, objectKey(r.Objects[1]))
		if err != nil {
			t.Fatal(err)
		}
		m := newMachine(t, team.Source{Name: "one", Bucket: mem{broken, nil}}, team.Source{Name: "two", Bucket: mem{good, nil}})
		if _, err := m.Claim(t.Context(), r.Action); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// breaking is a bucket whose objects break off.
type breaking struct{ blob.Bucket }

func (b breaking) Open(ctx context.Context, key blob.Key) (io.ReadCloser, error) {
	r, err := b.Bucket.Open(ctx, key)
	if err != nil || key.Kind != blob.Object {
		return r, err
	}
	return io.NopCloser(io.MultiReader(io.LimitReader(r, 2), iotest.ErrReader(errAway))), nil
}

// aged is a bucket whose blobs are older than they say.
type aged struct {
	blob.Bucket
	by time.Duration
}

func (a *aged) Stat(ctx context.Context, key blob.Key) (blob.Info, error) {
	info, err := a.Bucket.Stat(ctx, key)
	info.Put = info.Put.Add(-a.by)
	return info, err
}

// What is used is put again when it is old, by whoever may write, so that a bucket may forget by
// age.
func TestRenewed(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	key := blob.Key{Kind: blob.Action, Hash: r.Action}
	put := func() time.Time {
		info, err := b.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return info.Put
	}
	before, text := put(), read(t, b, key)
	for _, m := range []*machine{reader(t, &aged{b, 1000 * time.Hour}), writer(t, &aged{b, time.Hour})} {
		if _, err := m.Claim(t.Context(), r.Action); err != nil {
			t.Fatal(err)
		}
		if m.cache.Wait(t.Context()); !put().Equal(before) {
			t.Error("renewed")
		}
	}
	m := writer(t, &aged{b, 1000 * time.Hour})
	if _, err := m.Claim(t.Context(), r.Action); err != nil {
		t.Fatal(err)
	}
	if m.cache.Wait(t.Context()); put().Equal(before) || read(t, b, key) != text {
		t.Error("not renewed as it was")
	}
}

// A collection takes what nobody has used, and files of no result that are old enough, and
// nothing of what others need, trees included.
func TestGarbage(t *testing.T) {
	b := new(blobtest.Mem)
	w := writer(t, b)
	w.publish(t, 1)
	time.Sleep(time.Millisecond) // no two have the same time
	since := time.Now()
	stays := writer(t, b).publish(t, 2)
	from, later := team.Source{Name: "team", Bucket: mem{b, nil}}, time.Now().Add(48*time.Hour)
	g, err := team.FindGarbage(t.Context(), from, time.Now(), since)
	if err != nil || len(g.Records) != 1 || len(g.Objects) != 0 {
		t.Errorf("young: %d records, %d objects, %v", len(g.Records), len(g.Objects), err)
	}
	g, err = team.FindGarbage(t.Context(), from, later, since)
	if err != nil || len(g.Records) != 1 || len(g.Objects) != 3 {
		t.Fatalf("%d records, %d objects, %v", len(g.Records), len(g.Objects), err)
	}
	if err := g.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := reader(t, b).Claim(t.Context(), stays.Action); err != nil {
		t.Error(err)
	}
	job := blob.Key{Kind: blob.Job}
	if err := b.Put(t.Context(), job, strings.NewReader("a job")); err != nil {
		t.Fatal(err)
	}
	if g, err = team.FindGarbage(t.Context(), from, later, since); err != nil || len(g.Records)+len(g.Objects)+len(g.Jobs) != 0 {
		t.Errorf("again: %d records, %d objects, %d jobs, %v", len(g.Records), len(g.Objects), len(g.Jobs), err)
	}
	if g, err = team.FindGarbage(t.Context(), from, later.Add(31*24*time.Hour), since); err != nil || len(g.Jobs) != 1 || g.Remove(t.Context()) != nil {
		t.Errorf("%d jobs, %v", len(g.Jobs), err)
	}
	if _, err := b.Stat(t.Context(), job); err == nil {
		t.Error("the file of a job that nobody remembers stays")
	}
}

// flipping is a bucket behind a network that changes the first answers about each blob.
type flipping struct {
	blob.Bucket
	mu   sync.Mutex
	left map[blob.Key]int
}

func (f *flipping) Open(ctx context.Context, key blob.Key) (io.ReadCloser, error) {
	r, err := f.Bucket.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left[key] < 2 {
		f.left[key]++
		b[len(b)/2] ^= 1
	}
	return io.NopCloser(bytes.NewReader(b)), errors.Join(err, r.Close())
}

// A network that changes what is read of records and trees takes nothing from what they refer to.
func TestGarbageOverABadNetwork(t *testing.T) {
	b := new(blobtest.Mem)
	writer(t, b).publish(t, 1)
	from := team.Source{Bucket: mem{&flipping{Bucket: b, left: map[blob.Key]int{}}, nil}}
	g, err := team.FindGarbage(t.Context(), from, time.Now().Add(48*time.Hour), time.Time{})
	if err != nil || len(g.Objects) != 0 {
		t.Errorf("%d objects, %v", len(g.Objects), err)
	}
}

// A tree may have a million files, and its manifest more bytes than any record: they are no garbage.
func TestGarbageOfLargeTrees(t *testing.T) {
	b := new(blobtest.Mem)
	put := func(kind blob.Kind, hash [32]byte, content []byte) {
		t.Helper()
		if err := b.Put(t.Context(), blob.Key{Kind: kind, Hash: hash}, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	file := []byte("content")
	m := make(tree.Manifest, 1200)
	for i := range m { // of long paths, to be large with few entries
		m[i] = tree.Entry{Path: strings.Repeat("x", 60_000) + strconv.Itoa(i), Kind: tree.File, Digest: artifacts.Sum(file), Size: int64(len(file))}
	}
	preimage := json.RawMessage(`{"a":1}`)
	r := store.Record{Action: artifacts.NewActionID(preimage), Preimage: preimage, Output: json.RawMessage(`1`), Step: "step",
		Objects: []artifacts.File{{Digest: m.Digest(), Size: m.Size(), Tree: true}}}
	encoded, err := store.EncodeRecord(r)
	if err != nil {
		t.Fatal(err)
	}
	put(blob.Object, artifacts.Sum(file), file)
	put(blob.Object, m.Digest(), m.Encode())
	put(blob.Action, r.Action, encoded)
	g, err := team.FindGarbage(t.Context(), team.Source{Bucket: mem{b, nil}}, time.Now().Add(48*time.Hour), time.Time{})
	if err != nil || len(g.Objects) != 0 {
		t.Errorf("%d objects, %v", len(g.Objects), err)
	}
}

// An object that cannot be had is a miss that says why: the bucket may be back later.
func TestMissSaysWhy(t *testing.T) {
	b := &broken{Bucket: new(blobtest.Mem)}
	f := writer(t, b.Bucket).publish(t, 1).Objects[1]
	err := reader(t, b).Bring(t.Context(), []artifacts.File{f})
	if !errors.Is(err, store.ErrNotFound) || !errors.Is(err, team.ErrAway) || !strings.Contains(err.Error(), "connection reset") {
		t.Errorf("%v", err)
	}
}

// broken is a bucket to which every connection breaks.
type broken struct{ blob.Bucket }

func (*broken) Open(context.Context, blob.Key) (io.ReadCloser, error) {
	return nil, errors.New("connection reset")
}

// What is garbage is known of a bucket of this format alone.
func TestGarbageOfOthers(t *testing.T) {
	refused := fmt.Errorf("%w: a newer format", blob.ErrRefused)
	if _, err := team.FindGarbage(t.Context(), team.Source{Bucket: mem{new(blobtest.Mem), refused}}, time.Now(), time.Now()); !errors.Is(err, blob.ErrRefused) {
		t.Errorf("%v", err)
	}
}

// What was used between looking and removing stays.
func TestUsedMeanwhile(t *testing.T) {
	b := new(blobtest.Mem)
	r := writer(t, b).publish(t, 1)
	g, err := team.FindGarbage(t.Context(), team.Source{Bucket: mem{b, nil}}, time.Now(), time.Now().Add(time.Hour))
	if err != nil || len(g.Records) != 1 {
		t.Fatalf("%+v, %v", g, err)
	}
	time.Sleep(time.Millisecond)
	key := blob.Key{Kind: blob.Action, Hash: r.Action}
	if err := b.Put(t.Context(), key, strings.NewReader(read(t, b, key))); err != nil {
		t.Fatal(err)
	}
	if err := g.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := reader(t, b).Lookup(t.Context(), r.Action); err != nil {
		t.Error(err)
	}
}

// A tree that is read where it lies is known to the machine that has it: its record is for
// nobody else, and nothing of it is fetched or missed.
func TestOutside(t *testing.T) {
	b := new(blobtest.Mem)
	w := writer(t, b)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "image"), []byte("pixels"), 0o666); err != nil {
		t.Fatal(err)
	}
	batch := w.Batch()
	defer batch.Close()
	seen, err := batch.Refer(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	object, err := batch.Keep(t.Context(), seen.File)
	if err != nil || !object.Outside {
		t.Fatalf("%+v, %v", object, err)
	}
	preimage := json.RawMessage(`{"a":1}`)
	r := store.Record{Action: artifacts.NewActionID(preimage), Preimage: preimage, Output: json.RawMessage(`1`), Objects: []artifacts.File{object}}
	if err := batch.Commit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.Share(r)
	if p := w.cache.Wait(t.Context()); p.Sent+p.There+p.Failed != 0 {
		t.Errorf("published: %s", p)
	}
	w.cache.Share(w.Store, r) // as another program might
	w.cache.Wait(t.Context())
	isMiss(t, reader(t, b), r)
	if err := w.Bring(t.Context(), []artifacts.File{{Digest: seen.Digest, Size: seen.Size, Tree: true}}); err != nil {
		t.Error(err)
	}
}
