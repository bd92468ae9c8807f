package data

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime/debug"
	"slices"
	"testing"
)

func testSplit(n, size, channels int) *Split {
	rng := rand.New(rand.NewPCG(7, 7))
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(i % 5)
	}
	return FromPixels(size, size, channels, 5, randomPixels(rng, n*size, size, channels).data, labels)
}

var fullAugment = Augment{Crop: 0.5, Shift: 0.1, Flip: true, Jitter: 0.4}

func feed() Feed {
	return Feed{
		Batch: 8, Seed: 11, Augment: fullAugment, End: 20,
		Resolution: func(step int) int { return 12 + step%3 },
	}
}

func collect(t *testing.T, s *Split, f Feed) []Batch {
	t.Helper()
	var batches []Batch
	for b, err := range s.Stream(t.Context(), f) {
		if err != nil {
			t.Fatal(err)
		}
		c := *b
		c.X, c.Labels = slices.Clone(b.X), slices.Clone(b.Labels)
		batches = append(batches, c)
	}
	return batches
}

// The batches do not depend on threads or buffers.
func TestStreamThreads(t *testing.T) {
	s := testSplit(43, 16, 3)
	f := feed()
	f.Threads = 1
	want := collect(t, s, f)
	if len(want) != 20 {
		t.Fatalf("%d batches, want 20", len(want))
	}
	for _, threads := range []int{2, 3, 8} {
		f.Threads, f.Ahead = threads, threads
		if got := collect(t, s, f); !reflect.DeepEqual(got, want) {
			t.Errorf("%d threads: other batches than with one", threads)
		}
	}
}

// A stream started late yields what the whole stream yields from there.
func TestStreamResumes(t *testing.T) {
	s := testSplit(43, 16, 1)
	f := feed()
	want := collect(t, s, f)
	for start := range 20 {
		f.Start = start
		if got := collect(t, s, f); !reflect.DeepEqual(got, want[start:]) {
			t.Errorf("start %d: other batches than uninterrupted", start)
		}
	}
}

// An epoch shows every image at most once, and epochs differ in order and
// variation.
func TestStreamEpochs(t *testing.T) {
	s := FromPixels(1, 1, 1, 40, make([]byte, 40), seq(40))
	var orders [][]int32
	f := Feed{Batch: 10, End: 8, Resolution: At(1)}
	for _, b := range collect(t, s, f) {
		orders = append(orders, b.Labels)
	}
	for epoch := range 2 {
		seen := slices.Concat(orders[4*epoch : 4*epoch+4]...)
		slices.Sort(seen)
		if !slices.Equal(seen, seq(40)) {
			t.Errorf("epoch %d shows %v", epoch, seen)
		}
	}
	if slices.Equal(slices.Concat(orders[:4]...), slices.Concat(orders[4:]...)) {
		t.Error("both epochs have the same order")
	}
	img := testSplit(1, 16, 1)
	var a, b Batch
	for epoch, dst := range []*Batch{&a, &b} {
		if err := img.Batch(t.Context(), []int{0}, View{Resolution: 16, Augment: fullAugment, Epoch: epoch}, dst); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Equal(a.X, b.X) {
		t.Error("both epochs vary an image alike")
	}
}

func seq(n int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}

// Evaluation sees each image once, in order, the last batch cut short.
func TestAll(t *testing.T) {
	s := FromPixels(1, 1, 1, 25, make([]byte, 25), seq(25))
	var labels []int32
	for b, err := range s.All(t.Context(), 10, View{Resolution: 3}, 4) {
		if err != nil {
			t.Fatal(err)
		}
		if len(b.X) != 9*b.N {
			t.Errorf("%d values in a batch of %d", len(b.X), b.N)
		}
		labels = append(labels, b.Labels...)
	}
	if !slices.Equal(labels, seq(25)) {
		t.Errorf("labels %v", labels)
	}
}

// Cancelling ends the stream with the cause; breaking off leaves no goroutine
// behind (the race detector and goleak-like deadlocks would show it).
func TestStreamStops(t *testing.T) {
	s := testSplit(43, 16, 1)
	f := feed()
	f.End = 1 << 30
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var last error
	for _, err := range s.Stream(ctx, f) {
		if last = err; n == 5 {
			cancel()
		}
		n++
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("after cancel: %v, want context.Canceled", last)
	}
	for range s.Stream(t.Context(), f) {
		break
	}
}

// A stream cannot be asked for batches larger than the set.
func TestStreamTooSmall(t *testing.T) {
	for _, err := range testSplit(4, 4, 1).Stream(t.Context(), feed()) {
		if err == nil {
			t.Fatal("no error for batches of 8 from 4 images")
		}
	}
}

// A warm step of the loader allocates nothing (but for what the race detector
// makes of its pools).
func TestBatchAllocs(t *testing.T) {
	if raceDetector() {
		t.Skip("the race detector empties pools at random")
	}
	s := testSplit(16, 28, 1)
	var b Batch
	indices := []int{3, 1, 4, 1, 5, 9, 2, 6}
	v := View{Resolution: 20, Augment: fullAugment}
	run := func() {
		if err := s.Batch(t.Context(), indices, v, &b); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(50, run); n > 0 {
		t.Errorf("%v allocations a batch, want 0", n)
	}
}

// Every holdout of a set takes the same images, and no image is on both sides.
func TestHoldout(t *testing.T) {
	g := Shapes{Seed: 1, Size: 8}
	s := g.Split(0, 50)
	rest, held := s.Holdout(20)
	again, _ := s.Holdout(20)
	if rest.Len() != 30 || held.Len() != 20 {
		t.Fatalf("%d and %d images", rest.Len(), held.Len())
	}
	seen := map[int64]int{}
	for _, part := range []*Split{rest, held} {
		for _, r := range part.index.Records {
			seen[r.Offset]++
		}
	}
	if len(seen) != 50 {
		t.Errorf("%d different images of 50", len(seen))
	}
	for i, r := range rest.index.Records {
		if again.index.Records[i] != r {
			t.Fatalf("image %d differs the second time", i)
		}
	}
}

// However the goroutines are scheduled, each batch is its step's: no later step
// takes the place of one that is slow to begin.
func TestPumpKeepsOrder(t *testing.T) {
	for range 50 {
		f := Feed{End: 2000, Threads: 8, Ahead: 1}
		fill := func(_ context.Context, step int, b *Batch) error {
			b.N = step
			return nil
		}
		want := 0
		pump(t.Context(), f, fill, func(b *Batch, err error) bool {
			if err != nil || b.N != want {
				t.Fatalf("step %d: got step %d, %v", want, b.N, err)
			}
			want++
			return true
		})
	}
}

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
