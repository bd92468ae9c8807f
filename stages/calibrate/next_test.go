package calibrate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
)

// learned returns what a fit of a form to a file knows.
func learned(t testing.TB, c Config) (*calibration, *formFit, *knowledge) {
	t.Helper()
	ms, err := (&reader{networks: c.Networks}).read(c.Measurements)
	if err != nil {
		t.Fatal(err)
	}
	cal := newCalibration(new(pipeline.Task), c, ms)
	r, err := cal.fitForm(t.Context(), formOf(t, c.Form), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := cal.summarise(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	k, err := cal.learn(r)
	if err != nil {
		t.Fatal(err)
	}
	return cal, r, k
}

const twoSizes = "width,resolution,mu,latency\n0.5,96,,0.040\n0.5,160,0.11,0.090\n0.35,192,,0.105\n"

// dense is the textbook's formula of a Gaussian process: the covariance of values a and b given
// those that were seen, with noise. Every value's covariance beforehand comes from the priors'
// widths and from what the form misses.
func dense(t testing.TB, k *knowledge, seen []outlook, a, b *outlook) float64 {
	t.Helper()
	prior := func(a, b *outlook) float64 {
		sum := 0.0
		for i := range k.n {
			sum += a.by[i] * b.by[i] * k.width[i] * k.width[i]
		}
		if a.mu != b.mu {
			return sum
		}
		bhattacharyya := 0.0 // Σ √(p·q): the squared distance of the roots is 2 − 2 of it
		for i := range a.mix {
			bhattacharyya += a.mix[i] * b.mix[i]
		}
		return sum + max(0.08*0.08, 16*k.variance)*math.Exp(-(2-2*bhattacharyya)/(2*0.15*0.15))
	}
	n := len(seen)
	cov, with, of := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil), mat.NewVecDense(n, nil)
	for i := range n {
		for j := range i + 1 {
			v := prior(&seen[i], &seen[j])
			if i == j {
				v += k.variance
			}
			cov.SetSym(i, j, v)
		}
		with.SetVec(i, prior(a, &seen[i]))
		of.SetVec(i, prior(b, &seen[i]))
	}
	var c mat.Cholesky
	if !c.Factorize(cov) {
		t.Fatal("the covariance is not positive definite")
	}
	var x mat.VecDense
	if err := c.SolveVecTo(&x, of); err != nil {
		t.Fatal(err)
	}
	return prior(a, b) - mat.Dot(with, &x)
}

// What is known of a network that was not measured is what the formula says. It is less than
// of one that was.
func TestDeviation(t *testing.T) {
	_, r, k := learned(t, small(t, text(t, twoSizes), "spill"))
	deviation := func(net arch.Network) float64 {
		e, err := r.platform.Estimate(net)
		if err != nil {
			t.Fatal(err)
		}
		latency, mu, err := k.outlooks(&net, &e)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []outlook{latency, mu} {
			if got, want := k.deviation(&o), math.Sqrt(dense(t, k, k.seen, &o, &o)+k.variance); !within(got, want, 1e-6) {
				t.Errorf("%s: %v, want %v", net.Name, got, want)
			}
		}
		return k.deviation(&latency)
	}
	if seen, near, far := deviation(mobilenet(0.5, 160)), deviation(mobilenet(0.5, 128)), deviation(probe(t, "linear")); seen > near*1.05 || near > far/2 || seen > 0.1 {
		t.Errorf("measured ± %v, alike ± %v, unlike ± %v", seen, near, far)
	}
}

// Two networks' latencies are alike in what the form misses as far as their time is spent on
// the same; a latency and a μ are not.
func TestShared(t *testing.T) {
	conv, half := outlook{mix: mix{1}}, outlook{mix: mix{math.Sqrt(0.5), math.Sqrt(0.5)}}
	if got := shared(&conv, &conv); got != 1 {
		t.Errorf("the same: %v", got)
	}
	if got, want := shared(&conv, &half), math.Exp(-(2-math.Sqrt2)/(2*0.15*0.15)); !within(got, want, 1e-9) {
		t.Errorf("half of it: %v, want %v", got, want)
	}
	if got := shared(&conv, &outlook{mix: mix{1}, mu: true}); got != 0 {
		t.Errorf("a μ: %v", got)
	}
}

// What is to be measured next is what leaves the least mean variance of the targets: the first
// is the best of all by the dense formula, what is left after each is what the formula says, and
// the first two are nearly as good as the best of all pairs.
func TestNextEqualsBruteForce(t *testing.T) {
	c := small(t, text(t, twoSizes), "spill")
	c.Next = Next{Count: 2, Targets: map[string]arch.Spec{"depthwise": probes["depthwise"], "conv": probes["conv"], "1@224": {Width: 1, Resolution: 224}}}
	cal, r, k := learned(t, c)
	chosen, err := cal.next(r, k)
	if err != nil {
		t.Fatal(err)
	}
	candidates, err := cal.targets(r, k, "", probes)
	if err != nil {
		t.Fatal(err)
	}
	targets, err := cal.targets(r, k, "", c.Next.Targets)
	if err != nil {
		t.Fatal(err)
	}
	after := func(measured ...int) float64 {
		seen := slices.Clone(k.seen)
		for _, i := range measured {
			seen = append(seen, candidates[i].seen)
		}
		sum := 0.0
		for i := range targets {
			sum += dense(t, k, seen, &targets[i].seen, &targets[i].seen)
		}
		return math.Sqrt(sum / float64(len(targets)))
	}
	at := func(name string) int {
		return slices.IndexFunc(candidates, func(c target) bool { return c.name == name })
	}
	first, second := at(chosen[0].Name), at(chosen[1].Name)
	best, pair := math.Inf(1), math.Inf(1)
	for i := range candidates {
		best = min(best, after(i))
		for j := range i {
			pair = min(pair, after(i, j))
		}
	}
	if !within(after(first), best, 1e-6) {
		t.Errorf("%s leaves %v, the best %v", chosen[0].Name, after(first), best)
	}
	for i, want := range []float64{after(), after(first), after(first, second)} {
		got := append([]float64{chosen[0].Before}, chosen[0].After, chosen[1].After)[i]
		if !within(got, want, 1e-6) {
			t.Errorf("after %d: %v, want %v", i, got, want)
		}
	}
	if chosen[1].Before != chosen[0].After || after(first, second) > 1.1*pair {
		t.Errorf("%s and %s leave %v, the best pair %v", chosen[0].Name, chosen[1].Name, after(first, second), pair)
	}
	if want := "what 3 networks are uncertain by falls from"; !strings.Contains(chosen[0].Sentence, want) {
		t.Errorf("%q does not say %q", chosen[0].Sentence, want)
	}
}

// Measuring what was ranked first does narrow what was asked for.
func TestNextHelps(t *testing.T) {
	truth := preset(t, "tinyraptor")
	var b strings.Builder
	b.WriteString("network,width,resolution,latency\n")
	for _, resolution := range []int{96, 128, 160} {
		e, err := truth.Estimate(mobilenet(0.5, resolution))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "MobileNetV2,0.5,%d,%v\n", resolution, e.Latency)
	}
	c := small(t, text(t, b.String()), "spill")
	out := mustRun(t, c)
	if len(out.Next) != 4 {
		t.Fatalf("%d networks", len(out.Next))
	}
	for _, p := range out.Next {
		net, err := p.Network.Network()
		if err != nil {
			t.Fatal(err)
		}
		e, err := truth.Estimate(net)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%q,,,%v\n", p.Name, e.Latency)
	}
	c.Measurements, c.Networks = small(t, text(t, b.String()), "spill").Measurements, probes
	if again := mustRun(t, c); again.Next[0].Before > out.Next[0].Before/2 {
		t.Errorf("uncertain by %v, before by %v", again.Next[0].Before, out.Next[0].Before)
	}
}

// A candidate or target that is no network, or has no room, is told by its name.
func TestNextRefuses(t *testing.T) {
	c := small(t, text(t, twoSizes), "spill")
	c.Platform.Memory = 60 << 10
	c.Next.Targets = map[string]arch.Spec{"vast": chain(arch.Shape{C: 3, H: 64, W: 100_000}, conv(32, 3, 1))}
	if _, err := run(t.Context(), new(pipeline.Task), c); err == nil || !strings.HasPrefix(err.Error(), `next: targets["vast"]: `) {
		t.Errorf("got %v", err)
	}
}

// The summary says which parameters the measurements do not determine, with what such chips
// have or the platform says, and where they are of one family.
func TestSummary(t *testing.T) {
	family := "All measurements are of one family of networks"
	c := small(t, text(t, twoSizes), "spill")
	said := strings.Join(mustRun(t, c).Summary, "\n")
	for _, want := range []string{family, "The output next ranks what to measure", "it stays at what such chips have: ", " between ", "The form is spill: ", "The recipe asks for it."} {
		if !strings.Contains(said, want) {
			t.Errorf("does not say %q:\n%s", want, said)
		}
	}
	c.Platform.Rates = raptor.Rates{Conv: 100, Pointwise: 100, Depthwise: 100, Linear: 100}
	if said := strings.Join(mustRun(t, c).Summary, "\n"); !strings.Contains(said, "it stays at what the platform says: ") {
		t.Errorf("does not say that the platform has the value:\n%s", said)
	}
	file, networks := made(t, preset(t, "tinyraptor"), true)
	c = small(t, file, "spill")
	c.Networks, c.Form = networks, ""
	out := mustRun(t, c)
	if said := strings.Join(out.Summary, "\n"); strings.Contains(said, family) || strings.Contains(said, "such chips") || !strings.Contains(said, "No other was compared.") {
		t.Errorf("measurements of many kinds:\n%s", said)
	}
	for _, p := range out.Parameters {
		if *p.Determined < 0.9 || !p.Identified || p.Prior[0] > p.Value || p.Prior[1] < p.Value {
			t.Errorf("%+v", p)
		}
	}
}

// Parameters that the measurements only know together are named, with which way they go.
func TestCannotTellApart(t *testing.T) {
	out := mustRun(t, small(t, text(t, twoSizes), "spill"))
	found := false
	for _, p := range out.Correlated {
		found = true
		direction := map[bool]string{true: "with more of the one and more of the other", false: "with more of the one and less of the other"}[p.Correlation > 0]
		if math.Abs(p.Correlation) < inseparable || !strings.Contains(p.Words, direction) || !strings.Contains(strings.Join(out.Summary, "\n"), p.Words) {
			t.Errorf("%+v", p)
		}
	}
	if !found {
		t.Errorf("nothing cannot be told apart: %q", out.Summary)
	}
}

// The words of a parameter have numbers in every case.
func TestParameterWords(t *testing.T) {
	for _, test := range []struct {
		i          interval
		determined *float64
		written    bool
		identified bool
		want       string
	}{
		{interval{1, 2, false, false}, ptr(0.9), false, true, "x is 1.5 cycles, between 1 cycles and 2 cycles"},
		{interval{0.5, 4, false, false}, ptr(0.9), false, false, "x is 1.5 cycles, but known weakly: between 0.5 cycles and 4 cycles"},
		{interval{0.5, 4, true, false}, ptr(0.9), false, false, "x is 1.5 cycles; it may be anything up to 4 cycles"},
		{interval{0.5, 4, false, true}, ptr(0.9), false, false, "x is 1.5 cycles; it may be anything from 0.5 cycles"},
		{interval{0.5, 4, true, true}, nil, false, false, "x is not determined by the measurements, which any value that was tried meets; 1.5 cycles is taken"},
		{interval{1, 2, false, false}, ptr(0.3), false, true, "x is not determined by the measurements; it stays at what such chips have: 1.5 cycles, between 0.1 cycles and 9 cycles"},
		{interval{1, 2, false, false}, ptr(0.3), true, true, "x is not determined by the measurements; it stays at what the platform says: 1.5 cycles, between 0.1 cycles and 9 cycles"},
	} {
		p := newParameter("x", "cycles", 1.5, test.i)
		p.Prior, p.Determined = []float64{0.1, 9}, test.determined
		if got := p.words(test.written); got != test.want || p.Identified != test.identified {
			t.Errorf("%q, identified %v, want %q", got, p.Identified, test.want)
		}
	}
	p := newParameter(memory, "bytes", 204800, interval{188416, 225280, false, false})
	if got, want := p.words(false), "memory is 204800 bytes, between 188416 bytes and 225280 bytes"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The order of networks is told to survive where every plausible platform has it.
func TestRanking(t *testing.T) {
	best := preset(t, "tinyraptor")
	specs := map[string]arch.Spec{"small": {Width: 0.35, Resolution: 96}, "large": {Width: 1, Resolution: 224}}
	r, err := rank(specs, &best, []raptor.Platform{best})
	if err != nil || !r.Survives || r.Agreed != 1 || len(r.Networks) != 2 || r.Networks[0].Name != "small" {
		t.Errorf("%+v, %v", r, err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	f := formOf(t, "spill")
	many := []raptor.Platform{best}
	for range 30 {
		many = append(many, drawn(t, rng, f, 2))
	}
	r, err = rank(map[string]arch.Spec{"a": {Width: 0.5, Resolution: 160}, "b": {Width: 0.35, Resolution: 192}, "c": probes["pointwise"], "d": probes["depthwise"]}, &best, many)
	if err != nil || r.Survives || r.Agreed <= 0 || r.Agreed >= 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, n := range r.Networks {
		if n.LatencyLow > n.Latency || n.LatencyHigh < n.Latency || n.MuLow > n.Mu || n.MuHigh < n.Mu {
			t.Errorf("%+v", n)
		}
	}
}
