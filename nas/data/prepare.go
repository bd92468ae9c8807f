package data

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"eyrie/nas/data/picture"
)

// Preparation says how images are made smaller once, so that training decodes them fast.
type Preparation struct {
	Side    int    `json:"side" min:"1" max:"32768" doc:"the shorter side of every image, in pixels; images that are not larger stay as they are"`
	Format  Format `json:"format,omitempty" doc:"jpeg (the default); raw keeps pixels, which decode many times as fast and take some six times the room"`
	Quality int    `json:"quality,omitempty" min:"1" max:"100" doc:"of jpeg, as libjpeg and Pillow have it (0 for 95)"`
}

// Format is how prepared images are kept.
type Format string

// The formats.
const (
	JPEG      Format = "jpeg"
	RawPixels Format = "raw" // as PPM and PGM files
)

// Choices returns the formats.
func (Format) Choices() []string { return []string{string(JPEG), string(RawPixels)} }

const defaultQuality = 95

// perShard is how many images are in a shard: some 20 MB of JPEG with a side of 256 pixels.
// It decides what is done again after a kill, and which threads share the work.
const perShard = 512

// Prepare makes every image of a part, whose data is at path, smaller as p says, and writes
// them into tar shards in the directory shards, which are such as [ListShards] lists. It
// returns their index, without the corrupt ones. A shard that is in the directory, whole, with
// its note in the directory notes, is not made again; so Prepare goes on after a kill. Memory
// holds one image for each of the threads. What is written does not depend on their number.
func Prepare(ctx context.Context, ix Index, path string, shards, notes string, p Preparation, o SurveyOptions) (Index, Findings, error) {
	made := Index{Header: ix.Header}
	made.Files = nil
	found := Findings{Stats: NewStats(ix.Channels)}
	zero := make([]float64, ix.Channels)
	s, err := newSplit(ix, path, zero, zero)
	if err != nil {
		return made, found, err
	}
	defer s.Close()
	if err := errors.Join(os.MkdirAll(shards, 0o777), os.MkdirAll(notes, 0o777)); err != nil {
		return made, found, err
	}
	w := preparer{split: s, Preparation: p, shards: shards, notes: notes, report: o.Report}
	all, err := w.all(ctx, o.Threads)
	if err != nil {
		return made, found, err
	}
	for i, note := range all {
		found.add(note, i*perShard)
		if len(note.Images) == 0 {
			continue
		}
		for _, r := range note.Images {
			made.Records = append(made.Records, Record{File: len(made.Files), Offset: r.Offset, Length: r.Length, Label: r.Label})
		}
		made.Files = append(made.Files, shardName(i))
	}
	return made, found, nil
}

func shardName(i int) string { return fmt.Sprintf("%06d.tar", i) }

// shardNote says what is in a shard, and what was found on the way. It is kept beside the
// shard until all are made.
type shardNote struct {
	Bytes   int64
	Images  []shardImage
	Count   [3]uint64 // of Stats
	Sum     [3]uint64
	Squares [3]uint64
	Corrupt map[int]string `json:",omitempty"` // by the place among the shard's images
	Clipped []int          `json:",omitempty"`
}

type shardImage struct {
	Offset int64
	Length int
	Label  int
}

// add adds what was found in the images from first on.
func (f *Findings) add(n shardNote, first int) {
	f.Stats.Merge(Stats{channels: f.Stats.channels, n: n.Count, sum: n.Sum, sq: n.Squares})
	for i := range perShard {
		if why, ok := n.Corrupt[i]; ok {
			f.Corrupt = append(f.Corrupt, Corrupt{first + i, errors.New(why)})
		}
	}
	for _, i := range n.Clipped {
		f.Clipped = append(f.Clipped, first+i)
	}
}

// preparer makes shards.
type preparer struct {
	Preparation
	split         *Split
	shards, notes string
	report        func(done int)
	done          atomic.Int64 // images
}

// all makes the shards that are not there, on several threads.
func (w *preparer) all(ctx context.Context, threads int) ([]shardNote, error) {
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	all := make([]shardNote, (w.split.Len()+perShard-1)/perShard)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(threads, len(all)) {
		workers.Go(func() {
			sc := new(scratch)
			for i := int(next.Add(1) - 1); i < len(all) && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				var err error
				if all[i], err = w.shard(ctx, sc, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return all, context.Cause(ctx)
}

// shard makes a shard and its note, unless they are there.
func (w *preparer) shard(ctx context.Context, sc *scratch, i int) (note shardNote, err error) {
	first := i * perShard
	records := w.split.index.Records[first:min(first+perShard, w.split.Len())]
	path, notePath := filepath.Join(w.shards, shardName(i)), filepath.Join(w.notes, shardName(i)+".json")
	if note, ok := readNote(path, notePath); ok {
		w.report(int(w.done.Add(int64(len(records)))))
		return note, nil
	}
	err = writeWhole(path, func(f io.Writer) error {
		note, err = w.write(ctx, sc, f, records, first)
		return err
	})
	if err != nil {
		return note, err
	}
	if len(note.Images) == 0 {
		if err := os.Remove(path); err != nil {
			return note, err
		}
	}
	return note, writeWhole(notePath, func(f io.Writer) error { return json.NewEncoder(f).Encode(note) })
}

// readNote returns the note of a shard that is there, whole.
func readNote(path, notePath string) (note shardNote, ok bool) {
	b, err := os.ReadFile(notePath)
	if err != nil || json.Unmarshal(b, &note) != nil {
		return shardNote{}, false
	}
	if len(note.Images) == 0 {
		return note, true
	}
	fi, err := os.Stat(path)
	return note, err == nil && fi.Size() == note.Bytes
}

// writeWhole makes a file that has its name once its content is on the disk.
func writeWhole(path string, fill func(io.Writer) error) error {
	f, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // which fails where it got its name
	b := bufio.NewWriterSize(f, 1<<18)
	err = fill(b)
	if err == nil {
		err = errors.Join(b.Flush(), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// write writes the shard of some images, of which first is the number of the first one.
func (w *preparer) write(ctx context.Context, sc *scratch, to io.Writer, records []Record, first int) (note shardNote, err error) {
	out := &counter{to: to}
	archive := tar.NewWriter(out)
	stats := NewStats(w.split.index.Channels)
	var file []byte
	for i, r := range records {
		if ctx.Err() != nil {
			return note, context.Cause(ctx)
		}
		if n := w.done.Add(1); n%16 == 0 {
			w.report(int(n))
		}
		img, err := sc.load(ctx, w.split.source, w.split.index, r)
		if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) || ctx.Err() != nil {
			return note, err
		} else if err != nil {
			if note.Corrupt == nil {
				note.Corrupt = make(map[int]string)
			}
			note.Corrupt[i] = err.Error()
			continue
		}
		if img.clipped {
			note.Clipped = append(note.Clipped, i)
		}
		small, name := w.small(sc, img, &file)
		stats.Add(small.data)
		key := fmt.Sprintf("%08d", first+i)
		offset, err := add(archive, out, key+name, file)
		if err != nil {
			return note, err
		}
		if _, err := add(archive, out, key+".cls", fmt.Append(nil, r.Label)); err != nil {
			return note, err
		}
		note.Images = append(note.Images, shardImage{offset, len(file), r.Label})
	}
	err = archive.Close()
	note.Bytes, note.Count, note.Sum, note.Squares = out.n, stats.n, stats.sum, stats.sq
	return note, err
}

// small makes an image smaller and puts its file into *file, whose name ends as it returns.
// Where there is nothing to make smaller, a JPEG shard takes the file as it is: coding it once
// more would only lose.
func (w *preparer) small(sc *scratch, img pixels, file *[]byte) (pixels, string) {
	width, height, smaller := shrunk(img.width, img.height, w.Side)
	if smaller {
		img = sc.shrink(img, width, height)
	}
	picked := picture.Image{Width: img.width, Height: img.height, Channels: img.channels, Pix: img.data}
	switch {
	case w.Format == RawPixels:
		*file = picked.AppendPNM((*file)[:0])
	case smaller:
		quality := w.Quality
		if quality == 0 {
			quality = defaultQuality
		}
		*file = picked.AppendJPEG((*file)[:0], quality)
	default:
		*file = append((*file)[:0], sc.bytes...)
	}
	return img, picture.Extension(*file)
}

// shrunk returns the size of an image whose shorter side is at most side, in its proportions.
func shrunk(w, h, side int) (width, height int, smaller bool) {
	short, long := min(w, h), max(w, h)
	if short <= side {
		return w, h, false
	}
	long = max(side, (2*long*side+short)/(2*short))
	if w < h {
		return side, long, true
	}
	return long, side, true
}

// counter counts the bytes that it writes.
type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.n += int64(n)
	return n, err
}

// add adds a member to an archive and returns where its content begins.
func add(archive *tar.Writer, out *counter, name string, content []byte) (offset int64, err error) {
	h := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	if err := archive.WriteHeader(&h); err != nil {
		return 0, err
	}
	offset = out.n
	_, err = archive.Write(content)
	return offset, err
}
