package store

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"path/filepath"
	"sync"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
)

// statCache remembers the digests of files by their path and stamp.
//
// A file that is changed twice within one tick of its file system's clock keeps
// its stamp. So a stamp younger than racy when its file was read is not
// remembered at all, as git does it; the store's own files need no such window
// (see disk.FrozenTime). An entry is trusted for maxAge: then the file is read
// again, and a disk that lost a bit is found out.
//
// The cache is read when it is first needed. What it learnt is written by
// flush, which replaces the file at once; a file that is not whole is ignored,
// and what two processes write at the same time costs at most a rehash.
type statCache struct {
	path string

	once    sync.Once
	mu      sync.Mutex
	read    statTable            // as it was when it was first needed
	since   map[string]statEntry // what was learnt since; a zero entry forgets
	learnt  map[string]statEntry // what of that flush must write
	flushed time.Time
}

type statEntry struct {
	disk.Stamp
	digest artifacts.Digest
	read   int64 // ns since 1970: when the file was read
}

const (
	racy   = 2 * time.Second // the coarsest clock in use is FAT's
	maxAge = 30 * 24 * time.Hour
)

func (c *statCache) load() {
	c.once.Do(func() {
		b, _ := disk.ReadFile(c.path) // nothing, where it cannot be read
		c.read, c.since, c.learnt, c.flushed = newStatTable(b, time.Now()), map[string]statEntry{}, map[string]statEntry{}, time.Now()
	})
}

// lookup returns the digest of the file whose path in the cache is key, if it
// was read when it had the stamp st.
func (c *statCache) lookup(key string, st disk.Stamp) (artifacts.Digest, bool) {
	c.load()
	c.mu.Lock()
	e, known := c.since[key]
	c.mu.Unlock()
	if !known {
		e, _ = c.read.find(key) // which nothing changes: others need not wait for it
	}
	return e.digest, e.Stamp == st && e != statEntry{}
}

// entry returns what is known of a file. The caller holds c.mu.
func (c *statCache) entry(key string) (e statEntry, ok bool) {
	if e, ok := c.since[key]; ok {
		return e, e != statEntry{}
	}
	return c.read.find(key)
}

// learn remembers that a file that had the stamp st before and after it was
// read, which began at the time read, has that digest.
func (c *statCache) learn(key string, st disk.Stamp, d artifacts.Digest, read time.Time) {
	settled := st.IsFrozen() && !filepath.IsAbs(key)
	if !settled && max(st.Mtime, st.Ctime) > read.Add(-racy).UnixNano() {
		return
	}
	c.load()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := statEntry{st, d, read.UnixNano()}
	c.since[key], c.learnt[key] = e, e
}

// relearn replaces the stamp was of a file by now.
func (c *statCache) relearn(key string, was, now disk.Stamp) {
	c.load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entry(key); ok && e.Stamp == was {
		e.Stamp = now
		c.since[key], c.learnt[key] = e, e
	}
}

// forget removes what is known of a file.
func (c *statCache) forget(key string) {
	c.load()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since[key], c.learnt[key] = statEntry{}, statEntry{}
}

// spares returns how much reading it spares to write what was learnt, in bytes.
func (c *statCache) spares() (n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.learnt {
		n += e.Size
	}
	return n
}

// flush returns the content of the cache's file to write, or nil if there is
// nothing new, or it was flushed less than interval ago. What other processes
// wrote since the cache was read is kept.
func (c *statCache) flush(interval time.Duration) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.learnt) == 0 || time.Since(c.flushed) < interval {
		return nil
	}
	c.flushed = time.Now()
	b, _ := disk.ReadFile(c.path)
	entries := parseStatCache(b, c.flushed)
	for key, e := range c.learnt {
		entries[key] = e
		if e == (statEntry{}) {
			delete(entries, key)
		}
	}
	clear(c.learnt)
	return formatStatCache(entries)
}

const statCacheHeader = "eyrie stat cache 1\n"

// fixedEntry is the length of an entry without its key, in bytes.
const fixedEntry = 6*8 + len(artifacts.Digest{}) + 4

// formatStatCache encodes entries: the header, then each entry's numbers,
// digest, key length and key in little-endian binary, then the SHA-256 of
// everything before.
func formatStatCache(entries map[string]statEntry) []byte {
	b := append(make([]byte, 0, 160*len(entries)+64), statCacheHeader...)
	for key, e := range entries {
		for _, n := range [...]uint64{e.Dev, e.Ino, uint64(e.Size), uint64(e.Mtime), uint64(e.Ctime), uint64(e.read)} {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
		b = append(b, e.digest[:]...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(key)))
		b = append(b, key...)
	}
	sum := artifacts.Sum(b)
	return append(b, sum[:]...)
}

// statTable finds entries in what formatStatCache wrote. A plan in which nothing is to be done
// asks for each object once: a map of all took a fifth of its memory.
type statTable struct {
	content []byte
	slots   []uint32 // where entries begin, by their keys' hashes; 0 for none
}

var statSeed = maphash.MakeSeed()

// newStatTable returns a table of the entries that parseStatCache would return.
func newStatTable(b []byte, now time.Time) statTable {
	t := statTable{content: b}
	if len(b) > math.MaxUint32 {
		return statTable{}
	}
	t.slots = make([]uint32, 1<<bits.Len(uint(2*len(b)/fixedEntry)))
	if !eachStatEntry(b, now, func(at int, key []byte, _ statEntry) { *t.slot(key) = uint32(at) }) {
		return statTable{}
	}
	return t
}

// slot returns the slot of a key: with where its entry begins, or with 0.
func (t *statTable) slot(key []byte) *uint32 {
	for h := maphash.Bytes(statSeed, key); ; h++ {
		s := &t.slots[h&uint64(len(t.slots)-1)]
		if *s == 0 {
			return s
		}
		if bytes.Equal(statKeyAt(t.content, int(*s)), key) {
			return s
		}
	}
}

func (t *statTable) find(key string) (e statEntry, ok bool) {
	if len(t.slots) == 0 {
		return e, false
	}
	at := *t.slot([]byte(key))
	if at == 0 {
		return e, false
	}
	e, _, _ = statEntryAt(t.content, int(at))
	return e, true
}

// parseStatCache decodes what formatStatCache wrote, without the entries that
// are too old at the time now. Anything that is not whole is an empty cache.
func parseStatCache(b []byte, now time.Time) map[string]statEntry {
	entries := make(map[string]statEntry, len(b)/(fixedEntry+60))
	if !eachStatEntry(b, now, func(_ int, key []byte, e statEntry) { entries[string(key)] = e }) {
		return map[string]statEntry{}
	}
	return entries
}

// eachStatEntry calls yield for each entry that is not too old, with where it begins, and
// reports whether the content is whole.
func eachStatEntry(b []byte, now time.Time, yield func(at int, key []byte, e statEntry)) bool {
	end := len(b) - len(artifacts.Digest{})
	if end < len(statCacheHeader) || !bytes.HasPrefix(b, []byte(statCacheHeader)) || artifacts.Sum(b[:end]) != artifacts.Digest(b[end:]) {
		return false
	}
	oldest := now.Add(-maxAge).UnixNano()
	for at := len(statCacheHeader); at < end; {
		e, key, next := statEntryAt(b[:end], at)
		if next == 0 {
			return false
		}
		if e.read > oldest && e.read <= now.UnixNano() {
			yield(at, key, e)
		}
		at = next
	}
	return true
}

// statKeyAt returns the key of the entry that begins at a place, which is whole.
func statKeyAt(b []byte, at int) []byte {
	b = b[at+fixedEntry-4:]
	n := binary.LittleEndian.Uint32(b)
	return b[4 : 4+n]
}

// statEntryAt decodes the entry that begins at a place, and returns where the next one does: 0
// where this one is not whole.
func statEntryAt(b []byte, at int) (e statEntry, key []byte, next int) {
	if len(b)-at < fixedEntry {
		return e, nil, 0
	}
	b = b[at:]
	number := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	e.Dev, e.Ino, e.Size = number(0), number(1), int64(number(2))
	e.Mtime, e.Ctime, e.read = int64(number(3)), int64(number(4)), int64(number(5))
	copy(e.digest[:], b[6*8:])
	n := int(binary.LittleEndian.Uint32(b[fixedEntry-4:]))
	if n > len(b)-fixedEntry {
		return e, nil, 0
	}
	return e, b[fixedEntry : fixedEntry+n], at + fixedEntry + n
}
