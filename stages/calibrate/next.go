package calibrate

import (
	"fmt"
	"maps"
	"slices"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
)

// Next asks what to measure next.
type Next struct {
	Candidates map[string]arch.Spec `json:"candidates,omitempty" doc:"networks that could be measured; small built-in ones when not written"`
	Targets    map[string]arch.Spec `json:"targets,omitempty" doc:"networks whose latency is to be known better; the candidates when not written"`
	Count      int                  `json:"count" min:"0" max:"100" doc:"how many to name"`
}

// Probe is a network that is worth measuring.
type Probe struct {
	Name     string    `json:"name"`
	Before   float64   `json:"before" provenance:"modelled" doc:"what the targets' latencies are uncertain by, before it is measured: root mean square of the standard deviations of their logarithms"`
	After    float64   `json:"after" provenance:"modelled" doc:"the same, once it and those before it are measured"`
	Latency  float64   `json:"latency" unit:"s" provenance:"modelled" doc:"what is expected of it"`
	Network  arch.Spec `json:"network" doc:"the network as other stages take it: deploy-estimate writes it as ONNX"`
	Sentence string    `json:"words"`
}

// target is a network with what is known of it.
type target struct {
	name  string
	spec  arch.Spec
	cost  raptor.Estimate
	seen  outlook
	white []float64
}

// next ranks the candidates by how much a measurement of each narrows the predictions of the
// targets, given the measurements of those before it: the choice that leaves the least mean
// variance (I-optimal design), one by one. What will be measured need not be known for that.
func (c *calibration) next(r *formFit, k *knowledge) ([]Probe, error) {
	if c.Next.Count == 0 {
		return nil, nil
	}
	specs := c.Next.Candidates
	if len(specs) == 0 {
		specs = probes
	}
	goals := c.Next.Targets
	if len(goals) == 0 {
		goals = specs
	}
	candidates, err := c.targets(r, k, "candidates", specs)
	if err != nil {
		return nil, err
	}
	targets, err := c.targets(r, k, "targets", goals)
	if err != nil {
		return nil, err
	}
	d := newChoice(k, targets, candidates)
	var chosen []Probe
	for range min(c.Next.Count, len(candidates)) {
		best := d.best()
		p := Probe{Name: candidates[best].name, Before: d.spread(), Latency: candidates[best].cost.Latency, Network: candidates[best].spec}
		d.measure(best)
		p.After = d.spread()
		p.Sentence = fmt.Sprintf("Measure %s (about %.3g ms): what %d networks are uncertain by falls from %.1f to %.1f %%.", p.Name, 1e3*p.Latency, len(targets), 100*p.Before, 100*p.After)
		chosen = append(chosen, p)
	}
	return chosen, nil
}

// choice is what is known of targets and candidates, given what was measured and what is
// about to be.
type choice struct {
	covariance [][]float64 // of targets, and after them the candidates
	targets    int
	chosen     []bool  // candidates
	noise      float64 // variance of a measurement
}

func newChoice(k *knowledge, targets, candidates []target) *choice {
	all := append(slices.Clone(targets), candidates...)
	d := &choice{targets: len(targets), chosen: make([]bool, len(candidates)), noise: k.variance}
	for i := range all {
		row := make([]float64, len(all))
		for j := range all {
			row[j] = k.prior(&all[i].seen, &all[j].seen)
			for n, w := range all[i].white {
				row[j] -= float64(w * all[j].white[n])
			}
		}
		d.covariance = append(d.covariance, row)
	}
	return d
}

// spread returns the root of the targets' mean variance.
func (d *choice) spread() float64 {
	sum := 0.0
	for t := range d.targets {
		sum += max(0, d.covariance[t][t])
	}
	return rms(sum, d.targets)
}

// best returns the candidate whose measurement takes most from the sum of the targets'
// variances.
func (d *choice) best() int {
	best, most := -1, 0.0
	for i := range d.chosen {
		at, gain := d.targets+i, 0.0
		for t := range d.targets {
			gain += float64(d.covariance[t][at]*d.covariance[t][at]) / (d.covariance[at][at] + d.noise)
		}
		if !d.chosen[i] && (best < 0 || gain > most) {
			best, most = i, gain
		}
	}
	return best
}

// measure takes a candidate as measured.
func (d *choice) measure(candidate int) {
	d.chosen[candidate] = true
	at := d.targets + candidate
	column := make([]float64, len(d.covariance))
	for i := range d.covariance {
		column[i] = d.covariance[i][at]
	}
	for i := range d.covariance {
		for j := range d.covariance {
			d.covariance[i][j] -= float64(column[i]*column[j]) / (column[at] + d.noise)
		}
	}
}

// targets prices networks, by name.
func (c *calibration) targets(r *formFit, k *knowledge, attribute string, specs map[string]arch.Spec) ([]target, error) {
	var all []target
	builtIn := len(c.Next.Candidates) == 0 && (attribute == "candidates" || len(c.Next.Targets) == 0)
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		t := target{name: name, spec: specs[name]}
		t.spec.Name = name
		net, err := t.spec.Network()
		if err == nil {
			t.cost, err = r.platform.Estimate(net)
		}
		if err == nil && t.cost.Latency == 0 {
			err = fmt.Errorf("in the form %s it takes no time at all", r.name)
		}
		if err == nil {
			t.seen, _, err = k.outlooks(&net, &t.cost)
		}
		if err != nil && builtIn {
			continue // there is no room for it
		}
		if err != nil {
			return nil, pipeline.Badf("next", "%s[%q]: %w", attribute, name, err)
		}
		t.white = k.whitened(&t.seen)
		all = append(all, t)
	}
	return all, nil
}

// probes are networks that anyone can export, each of which is mostly of one kind.
var probes = map[string]arch.Spec{
	"conv":                  chain(arch.Shape{C: 3, H: 64, W: 64}, conv(32, 3, 2), conv(32, 3, 1), conv(32, 3, 1), conv(64, 3, 2), conv(64, 3, 1), pool(), linear(10)),
	"conv, small maps":      chain(arch.Shape{C: 32, H: 8, W: 8}, conv(128, 3, 1), conv(128, 3, 1), conv(256, 3, 2), conv(256, 3, 1), pool(), linear(10)),
	"pointwise":             chain(arch.Shape{C: 16, H: 32, W: 32}, pointwise(96), pointwise(96), pointwise(96), pool(), linear(10)),
	"pointwise, small maps": chain(arch.Shape{C: 64, H: 7, W: 7}, pointwise(256), pointwise(256), pointwise(256), pool(), linear(10)),
	"depthwise":             chain(arch.Shape{C: 32, H: 64, W: 64}, depthwise(3, 1), depthwise(3, 1), depthwise(5, 1), depthwise(3, 2), pool(), linear(10)),
	"depthwise, small maps": chain(arch.Shape{C: 256, H: 8, W: 8}, depthwise(3, 1), depthwise(3, 1), depthwise(5, 1), pool(), linear(10)),
	"linear":                chain(arch.Shape{C: 256, H: 1, W: 1}, linear(512), linear(512), linear(256), linear(10)),
	"sums and pools":        chain(arch.Shape{C: 16, H: 64, W: 64}, arch.LayerSpec{Op: arch.Add, Inputs: []string{"input", "input"}}, arch.LayerSpec{Op: arch.Pool, Kernel: arch.Square(2), Stride: arch.Square(2)}, conv(16, 3, 2), pool(), linear(10)),
	"few channels":          chain(arch.Shape{C: 3, H: 128, W: 128}, conv(8, 3, 2), conv(8, 3, 1), conv(8, 3, 1), pool(), linear(10)),
}

// chain returns the network of layers that follow each other.
func chain(input arch.Shape, layers ...arch.LayerSpec) arch.Spec {
	return arch.Spec{Input: input, Layers: layers}
}

func conv(channels, kernel, stride int) arch.LayerSpec {
	return arch.LayerSpec{Op: arch.Conv, Channels: channels, Kernel: arch.Square(kernel), Stride: arch.Square(stride)}
}

func pointwise(channels int) arch.LayerSpec {
	return arch.LayerSpec{Op: arch.Pointwise, Channels: channels}
}

func depthwise(kernel, stride int) arch.LayerSpec {
	return arch.LayerSpec{Op: arch.Depthwise, Kernel: arch.Square(kernel), Stride: arch.Square(stride)}
}

func pool() arch.LayerSpec { return arch.LayerSpec{Op: arch.Pool} }

func linear(channels int) arch.LayerSpec { return arch.LayerSpec{Op: arch.Linear, Channels: channels} }
