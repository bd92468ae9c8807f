package store

import (
	"bytes"
	"encoding/binary"
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
	entries map[string]statEntry // as read, and learnt since
	learnt  map[string]statEntry // what flush must write; a zero entry forgets
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
		c.entries, c.learnt, c.flushed = c.parseFile(), map[string]statEntry{}, time.Now()
	})
}

func (c *statCache) parseFile() map[string]statEntry {
	b, err := disk.ReadFile(c.path)
	if err != nil {
		return map[string]statEntry{}
	}
	return parseStatCache(b, time.Now())
}

// lookup returns the digest of the file whose path in the cache is key, if it
// was read when it had the stamp st.
func (c *statCache) lookup(key string, st disk.Stamp) (artifacts.Digest, bool) {
	c.load()
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[key]
	return e.digest, ok && e.Stamp == st
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
	c.entries[key], c.learnt[key] = e, e
}

// relearn replaces the stamp was of a file by now.
func (c *statCache) relearn(key string, was, now disk.Stamp) {
	c.load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[key]; ok && e.Stamp == was {
		e.Stamp = now
		c.entries[key], c.learnt[key] = e, e
	}
}

// forget removes what is known of a file.
func (c *statCache) forget(key string) {
	c.load()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, key)
	c.learnt[key] = statEntry{}
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
	entries := c.parseFile()
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

// parseStatCache decodes what formatStatCache wrote, without the entries that
// are too old at the time now. Anything that is not whole is an empty cache.
func parseStatCache(b []byte, now time.Time) map[string]statEntry {
	entries := map[string]statEntry{}
	end := len(b) - len(artifacts.Digest{})
	if end < len(statCacheHeader) || !bytes.HasPrefix(b, []byte(statCacheHeader)) || artifacts.Sum(b[:end]) != artifacts.Digest(b[end:]) {
		return entries
	}
	entries = make(map[string]statEntry, end/(fixedEntry+60))
	oldest := now.Add(-maxAge).UnixNano()
	text := string(b[:end]) // keys are parts of it: one allocation for all
	for at := len(statCacheHeader); at < end; {
		if end-at < fixedEntry {
			return map[string]statEntry{}
		}
		next := func() uint64 { at += 8; return binary.LittleEndian.Uint64(b[at-8:]) }
		var e statEntry
		e.Dev, e.Ino, e.Size = next(), next(), int64(next())
		e.Mtime, e.Ctime, e.read = int64(next()), int64(next()), int64(next())
		at += copy(e.digest[:], b[at:])
		n := int(binary.LittleEndian.Uint32(b[at:]))
		at += 4
		if n > end-at {
			return map[string]statEntry{}
		}
		if e.read > oldest && e.read <= now.UnixNano() {
			entries[text[at:at+n]] = e
		}
		at += n
	}
	return entries
}
