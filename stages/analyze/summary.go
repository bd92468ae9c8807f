package analyze

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"eyrie/nas/raptor"
	"eyrie/nas/unit"
)

// summary says in sentences where the memory binds.
func summary(o *Output, p *raptor.Platform) []string {
	s := []string{
		fmt.Sprintf("%s on %s: %s of weights, %.3g M MACs, %.3g ms, μ %.3f.", o.Network, p.Name, unit.Bytes(o.Weights), float64(o.MACs)/1e6, 1e3*o.Latency, o.Mu),
		activations(o),
		weights(o, p),
	}
	if o.Mu > 0 {
		s = append(s, transfers(o))
	}
	return s
}

// activations describes the first bottleneck: the maps of the first blocks.
func activations(o *Output) string {
	var large []string
	for _, b := range o.Blocks {
		if b.Activations > o.Memory {
			large = append(large, b.Name)
		}
	}
	if len(large) == 0 {
		return fmt.Sprintf("Activations: every block's maps, at most %s, fit in the local memory of %s.", unit.Bytes(o.Activations), unit.Bytes(o.Memory))
	}
	most := slices.MaxFunc(o.Blocks, func(a, b Need) int { return cmp.Compare(a.Activations, b.Activations) })
	text := fmt.Sprintf("Activations: %s of %d blocks do not fit in the local memory of %s and are cut into tiles: %s; %s needs most, %s",
		count(len(large)), len(o.Blocks), unit.Bytes(o.Memory), strings.Join(large, ", "), most.Name, unit.Bytes(most.Activations))
	if last := lastBlock(o); last != nil && last.Name != most.Name {
		text += fmt.Sprintf(", %.1f times what %s needs", float64(most.Activations)/float64(last.Activations), last.Name)
	}
	return text + "."
}

// lastBlock returns the last block before head and classifier.
func lastBlock(o *Output) *Need {
	for i := range slices.Backward(o.Blocks) {
		if b := &o.Blocks[i]; strings.HasPrefix(b.Name, "g") {
			return b
		}
	}
	return nil
}

// weights describes the second bottleneck: the weights of the last blocks.
func weights(o *Output, p *raptor.Platform) string {
	const last = 6
	tail := o.Blocks[max(0, len(o.Blocks)-last):]
	var sum int64
	for _, b := range tail {
		sum += b.Weights
	}
	text := fmt.Sprintf("Weights: the last %s blocks hold %.0f %% of them", count(len(tail)), 100*float64(sum)/float64(max(1, o.Weights)))
	memory, name := p.Memory, "the local memory"
	if p.WeightMemory > 0 {
		memory, name = p.WeightMemory, fmt.Sprintf("the %s for weights", unit.Bytes(p.WeightMemory))
	}
	var beyond []string
	for _, b := range o.Blocks {
		if b.Weights > memory {
			beyond = append(beyond, b.Name)
		}
	}
	if len(beyond) > 0 {
		text += fmt.Sprintf("; more than %s take %s", name, strings.Join(beyond, ", "))
	}
	var unsupported []string
	for _, l := range o.Layers {
		if !l.Supported {
			unsupported = append(unsupported, fmt.Sprintf("%s (%s)", l.Name, unit.Bytes(l.Weights)))
		}
	}
	switch {
	case len(unsupported) > 0:
		text += fmt.Sprintf("; beyond the limit of %s for one layer, and so not supported, are %s", unit.Bytes(o.WeightLimit), strings.Join(unsupported, ", "))
	case o.WeightLimit > 0:
		text += fmt.Sprintf("; every layer is within the limit of %s", unit.Bytes(o.WeightLimit))
	}
	return text + "."
}

// transfers says which layers move the most.
func transfers(o *Output) string {
	top := slices.Clone(o.Layers)
	slices.SortStableFunc(top, func(a, b Need) int { return cmp.Compare(b.SYSShare, a.SYSShare) })
	var words []string
	for _, l := range top[:min(3, len(top))] {
		words = append(words, fmt.Sprintf("%s %.0f %%", l.Name, 100*l.SYSShare))
	}
	return fmt.Sprintf("Transfers take %.0f %% of the time; of their cycles %s.", 100/(1+o.Mu), strings.Join(words, ", "))
}

func count(n int) string {
	words := []string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
	if n < len(words) {
		return words[n]
	}
	return fmt.Sprint(n)
}
