package torch

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sync/errgroup"

	"eyrie/nas/data"
)

// feederName is the first argument by which this program knows that it is a feeder.
const feederName = "(feeder)"

// Any program that has this package can be a feeder, test binaries included.
func init() {
	if len(os.Args) > 2 && os.Args[1] == feederName {
		// When all of a group are told to stop, ranks still need the images of the step that they are in. Each ends its
		// feeder itself.
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
		if err := serve(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "feeder:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// feed is what a feeder needs to know: a part of the job's file.
type feed struct {
	Set     data.Set     `json:"set"`
	Paths   []string     `json:"paths"` // of the set's files, which handles in JSON do not have: see files
	Holdout int          `json:"holdout"`
	Batch   int          `json:"batch"` // images of a step, of all ranks
	Seed    uint64       `json:"seed"`
	Augment data.Augment `json:"augment"`
	Threads int          `json:"threads"` // of each feeder
}

// files returns the places of the set's files.
func (f *feed) files() (places []*string) {
	for _, p := range []*data.Part{&f.Set.Train, &f.Set.Test} {
		places = append(places, &p.Index.Path, &p.Data.Path)
		if p.Digests != nil {
			places = append(places, &p.Digests.Path)
		}
	}
	return places
}

// request asks for a batch: for the rank's part of a training step's, or for some images as they are.
type request struct {
	Train *struct {
		Step       int `json:"step"`
		Resolution int `json:"resolution"`
	} `json:"train"`

	Images     *data.Selection `json:"images"`
	From       int             `json:"from"`
	Count      int             `json:"count"`
	Resolution int             `json:"resolution"`
}

// server prepares batches for a rank.
type server struct {
	feed
	rank, world int
	parts       [2]*data.Split
	images      *data.Split // to train on
	steps       *data.Steps
	mu          sync.Mutex
	selected    map[data.Selection]*data.Split
}

// serve answers the requests on in, until that ends or one fails. The answer to that one is an
// error.
func serve(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet(feederName, flag.ContinueOnError)
	rank, world := flags.Int("rank", 0, ""), flags.Int("world", 1, "")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	b, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var job struct {
		Feed feed `json:"feed"`
	}
	if err := json.Unmarshal(b, &job); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	s := &server{feed: job.Feed, rank: *rank, world: *world, selected: map[data.Selection]*data.Split{}}
	w := bufio.NewWriterSize(out, 1<<20)
	if err := s.open(); err != nil {
		return errors.Join(fail(w, err), w.Flush())
	}
	return s.answer(in, w)
}

func (s *server) open() (err error) {
	places := s.files()
	if len(places) != len(s.Paths) {
		return fmt.Errorf("paths of %d files, want %d", len(s.Paths), len(places))
	}
	for i, place := range places {
		*place = s.Paths[i]
	}
	if s.parts[0], s.parts[1], err = data.Open(s.Set); err != nil {
		return err
	}
	if s.images, err = (data.Selection{Part: data.TrainPart, Holdout: s.Holdout}).Of(s.parts[0], s.parts[1]); err != nil {
		return err
	}
	if s.Batch > 0 {
		s.steps = data.NewSteps(s.images.Len(), s.Batch, s.Seed)
	}
	return nil
}

// pending is a batch that is being prepared, or the reason why there is none.
type pending struct {
	batch data.Batch
	parts errgroup.Group // that prepare it
}

// ahead is how many batches are prepared before they are taken: a batch of ImageNet's has
// hundreds of megabytes.
const ahead = 2

// answer has batches prepared by all threads together, and writes them in the order of the
// requests.
func (s *server) answer(in io.Reader, w *bufio.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	queue := make(chan *pending, ahead)
	spare := make(chan *pending, ahead+2) // whose memory is used again
	go s.receive(ctx, in, queue, spare)
	for p := range queue {
		if err := p.parts.Wait(); err != nil {
			return errors.Join(fail(w, err), w.Flush())
		}
		if err := write(w, &p.batch); err != nil {
			return err
		}
		select {
		case spare <- p:
		default:
		}
	}
	return w.Flush()
}

// receive puts a batch for each request into the queue, in their order, and has it prepared.
func (s *server) receive(ctx context.Context, in io.Reader, queue, spare chan *pending) {
	defer close(queue)
	turns := make(chan struct{}, max(1, s.Threads))
	for lines := bufio.NewReader(in); ; {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		p := new(pending)
		select {
		case old := <-spare:
			p.batch = old.batch
		default:
		}
		s.prepare(ctx, line, p, turns)
		select {
		case queue <- p:
		case <-ctx.Done():
			return
		}
	}
}

// part is how many images of a batch one thread prepares at a time. A batch is prepared by all
// threads: were it by one, they would be busy only with as many batches ahead.
const part = 8

// prepare has the batch prepared that a request asks for, in parts, each of which takes a turn.
// It returns when the last part has begun.
func (s *server) prepare(ctx context.Context, line []byte, p *pending, turns chan struct{}) {
	w, err := s.wanted(line)
	if err == nil {
		_, err = w.split.Extend(len(w.images), w.view, &p.batch)
	}
	if err != nil {
		p.parts.Go(func() error { return err })
		return
	}
	for from := 0; from < len(w.images); from += part {
		to := min(from+part, len(w.images))
		turns <- struct{}{}
		p.parts.Go(func() error {
			defer func() { <-turns }()
			some := p.batch.Slice(from, to)
			return w.split.Batch(ctx, w.images[from:to], w.view, &some)
		})
	}
}

// fail says why a request is not answered.
func fail(w io.Writer, err error) error {
	return json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}

// write writes a batch: its extents as a line of JSON, the labels, the images.
func write(w *bufio.Writer, b *data.Batch) error {
	fmt.Fprintf(w, `{"n":%d,"h":%d,"w":%d,"c":%d}`+"\n", b.N, b.H, b.W, b.C)
	if _, err := w.Write(bytesOf(b.Labels)); err != nil {
		return err
	}
	if _, err := w.Write(bytesOf(b.X)); err != nil {
		return err
	}
	return w.Flush()
}

// bytesOf returns the bytes of numbers in this machine's order, which is the worker's, too.
func bytesOf[T int32 | float32](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), 4*len(v))
}

// wanted is what a request asks for.
type wanted struct {
	split  *data.Split
	images []int // their numbers
	view   data.View
}

// wanted returns what a request asks for.
func (s *server) wanted(line []byte) (w wanted, err error) {
	var r request
	if err := json.Unmarshal(line, &r); err != nil {
		return w, fmt.Errorf("request %q: %w", line, err)
	}
	if r.Train != nil {
		return s.train(r)
	}
	if r.Images == nil {
		return w, fmt.Errorf("request %q asks for nothing", line)
	}
	if w.split, err = s.selection(*r.Images); err != nil {
		return w, err
	}
	if r.From < 0 || r.Count < 0 || r.From > w.split.Len()-r.Count {
		return w, fmt.Errorf("images %d … %d of %d", r.From, r.From+r.Count, w.split.Len())
	}
	w.images = make([]int, r.Count)
	for i := range w.images {
		w.images[i] = r.From + i
	}
	w.view = data.View{Resolution: r.Resolution}
	return w, nil
}

// train returns the rank's part of a step's images: those of [data.Feed].
func (s *server) train(r request) (w wanted, err error) {
	if s.Batch < 1 || s.Batch > s.images.Len() || s.Batch%s.world != 0 || r.Train.Step < 0 {
		return w, fmt.Errorf("step %d: a batch of %d from %d images for %d ranks", r.Train.Step, s.Batch, s.images.Len(), s.world)
	}
	epoch, images := s.steps.Images(r.Train.Step)
	part := s.Batch / s.world
	view := data.View{Resolution: r.Train.Resolution, Augment: s.Augment, Seed: s.Seed, Epoch: epoch}
	return wanted{s.images, images[s.rank*part : (s.rank+1)*part], view}, nil
}

// selection returns images, which it remembers.
func (s *server) selection(of data.Selection) (*data.Split, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if split := s.selected[of]; split != nil {
		return split, nil
	}
	split, err := of.Of(s.parts[0], s.parts[1])
	if err == nil {
		s.selected[of] = split
	}
	return split, err
}
