package nn

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"eyrie/nas/torch/torchtest"
)

var speed = flag.Bool("speed", false, "measure speed: go test ./nas/nn -run TestSpeed -speed -v")

// rounds is how often everything is measured, in turn; the best counts.
const rounds = 5

// torchProcess answers how fast PyTorch is.
type torchProcess struct {
	in  io.Writer
	out *bufio.Scanner
}

func startTorch(t *testing.T, threads int, backbone any) *torchProcess {
	t.Helper()
	b, err := json.Marshal(backbone)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(torchtest.Python(t), "testdata/speed.py", strconv.Itoa(threads), string(b))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	p := &torchProcess{in, bufio.NewScanner(out)}
	p.out.Scan()
	t.Log(p.out.Text())
	return p
}

func (p *torchProcess) measure(t *testing.T, what string, batch, size, steps int) float64 {
	t.Helper()
	fmt.Fprintln(p.in, what, batch, size, steps)
	if !p.out.Scan() {
		t.Fatal("no answer from PyTorch")
	}
	v, err := strconv.ParseFloat(p.out.Text(), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// perSecond returns how often per second f can run n times.
func perSecond(n int, f func()) float64 {
	f()
	start := time.Now()
	for range n {
		f()
	}
	return float64(n) / time.Since(start).Seconds()
}

// TestSpeed measures the reference net (facts: batch 64, 2.77 M MACs, 32×32×1)
// beside PyTorch with as many threads, smaller subnets of the same weights, and
// the kernels against the processor's peak.
func TestSpeed(t *testing.T) {
	if !*speed {
		t.Skip("asked for by -speed")
	}
	const threads, batch, size, steps = 2, 64, 32, 10
	space := referenceSpace(6, 3)
	torch := startTorch(t, threads, space.Backbone)
	best := map[string]float64{}
	keep := func(name string, v float64) { best[name] = max(best[name], v) }
	type subject struct{ train, infer func() }
	subjects := map[string]subject{}
	for _, kernels := range Kernels() {
		for _, expansion := range []int{6, 3} {
			e, err := NewEngine(threads, Arithmetic(kernels))
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			space := referenceSpace(6, 3)
			space.Expansions = []int{3, 6}
			s := New(space, 1)
			tr := NewTrainer(e, s)
			b := randomBatch(space, batch, size, 1)
			n := space.Largest()
			if expansion == 3 {
				n = space.Smallest()
			}
			split := pixels(space, batch, size)
			m, err := NewEvaluator(e, New(space, 1), split, split, batch).Model(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			subjects[fmt.Sprintf("%s t=%d", kernels, expansion)] = subject{
				train: func() {
					tr.Grad(n, b, Loss{Hard: 1}, nil)
					tr.Step(SGD{Rate: 0.01, Momentum: 0.9, Nesterov: true, Decay: 3e-5})
				},
				infer: func() { m.Logits(b) },
			}
		}
	}
	for range rounds {
		for _, what := range []string{"train", "infer", "compiled-train", "compiled-infer", "onnxruntime"} {
			keep(what, torch.measure(t, what, batch, size, 2*steps))
		}
		for name, s := range subjects {
			keep(name+" train", batch*perSecond(steps, s.train))
			keep(name+" infer", batch*perSecond(2*steps, s.infer))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n| 2 threads | train images/s | × torch | infer images/s | × torch | × onnxruntime | train t = 3 ÷ t = 6 |\n|---|---|---|---|---|---|---|\n")
	row := func(name, train, infer, small string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, c := range [][]string{{train, "", "train"}, {infer, "", "infer", "onnxruntime"}} {
			for i, by := range c[1:] {
				switch {
				case best[c[0]] == 0 || by != "" && best[by] == 0:
					fmt.Fprint(&b, " – |")
				case i == 0:
					fmt.Fprintf(&b, " %.0f |", best[c[0]])
				default:
					fmt.Fprintf(&b, " %.2f |", best[c[0]]/best[by])
				}
			}
		}
		fmt.Fprintf(&b, " %s |\n", small)
	}
	row("PyTorch, channels_last", "train", "infer", "")
	row("torch.compile", "compiled-train", "compiled-infer", "")
	row("onnxruntime", "", "onnxruntime", "")
	for _, k := range Kernels() {
		row("Go, "+k, k+" t=6 train", k+" t=6 infer", fmt.Sprintf("%.2f", best[k+" t=3 train"]/best[k+" t=6 train"]))
	}
	b.WriteString(kernelSpeeds())
	t.Log(b.String())
}

// kernelSpeeds measures single kernels on one thread.
func kernelSpeeds() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n| 1 thread, GFLOPS | peak | 1×1 24→144 NN | dX NT | dW TN | depthwise 3×3 | 5×5 |\n|---|---|---|---|---|---|---|\n")
	rng := rand.New(rand.NewPCG(1, 1))
	const m, in, out = 192, 24, 144
	x, w, y := floatsOf(rng, m*out), floatsOf(rng, in*out), floatsOf(rng, m*out+panelCols)
	forward, back := make([]float32, packedLen(in, out)), make([]float32, packedLen(out, in))
	pack(forward, w, in, out, out)
	packTransposed(back, w, in, out, out)
	for _, k := range sets() {
		lanes := k.lanes
		src, taps, dst := floatsOf(rng, 18*18*lanes), floatsOf(rng, 25*lanes), make([]float32, 14*14*lanes)
		gflops := func(flops int, f func()) float64 {
			best := 0.0
			for range rounds {
				best = max(best, perSecond(2000, f))
			}
			return best * float64(flops) / 1e9
		}
		peak := "–"
		if k.peak != nil {
			peak = fmt.Sprintf("%.0f", gflops(2*8*lanes*1000, func() { k.peak(1000) }))
		}
		const product = 2 * m * in * out
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.0f | %.0f | %.0f | %.0f |\n", k.name, peak,
			gflops(product, func() { k.gemm(m, out, in, x, in, 1, packed(forward, in), y, out, epilogue{}) }),
			gflops(product, func() { k.gemm(m, in, out, y, out, 1, packed(back, out), x, in, epilogue{}) }),
			gflops(product, func() { k.gemm(in, out, m, x, 1, in, plainRight(y, out), w, out, epilogue{acc: true}) }),
			gflops(2*9*14*14*lanes, func() {
				k.dwConv(3, 1, 14, 14, dst, 14*lanes, lanes, lanes, src, 16*lanes, 0, taps, nil, false)
			}),
			gflops(2*25*14*14*lanes, func() {
				k.dwConv(5, 1, 14, 14, dst, 14*lanes, lanes, lanes, src, 18*lanes, 0, taps, nil, false)
			}))
	}
	return b.String()
}
