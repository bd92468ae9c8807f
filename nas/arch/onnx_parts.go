package arch

import (
	"slices"

	"eyrie/nas/onnx"
)

// This file puts normalisations together that exporters write in parts, so that they cost
// the same from each of them.

// withoutParts returns the nodes with normalisations that are written in parts as one node
// each: layer normalisation as exporters wrote it before opset 17, and local response
// normalisation as PyTorch does.
func withoutParts(nodes []onnx.Node) []onnx.Node {
	p := parts{nodes: nodes, makes: map[string]int{}, readers: map[string][]int{}}
	for i, n := range nodes {
		for _, out := range n.Outputs {
			p.makes[out] = i
		}
		for _, in := range n.Inputs {
			p.readers[in] = append(p.readers[in], i)
		}
	}
	whole, gone := map[int]onnx.Node{}, map[int]bool{}
	for i, div := range nodes {
		if div.Op != "Div" || len(div.Inputs) != 2 || len(div.Outputs) != 1 {
			continue
		}
		op := "LayerNormalization"
		x, found := p.layerNorm(&div)
		if found == nil {
			op = "LRN"
			x, found = p.localResponse(&div)
		}
		if found == nil || !p.alone(found, i) {
			continue
		}
		whole[i] = onnx.Node{Name: div.Name, Op: op, Inputs: []string{x}, Outputs: div.Outputs}
		for _, j := range found {
			gone[j] = true
		}
	}
	if len(whole) == 0 {
		return nodes
	}
	var kept []onnx.Node
	for i, n := range nodes {
		if w, ok := whole[i]; ok {
			n = w
		}
		if !gone[i] {
			kept = append(kept, n)
		}
	}
	return kept
}

// parts finds nodes by what they make and read.
type parts struct {
	nodes   []onnx.Node
	makes   map[string]int
	readers map[string][]int
}

// by returns the node that makes a tensor, if it is one of the operators.
func (p *parts) by(name string, ops ...string) (n *onnx.Node, i int) {
	i, ok := p.makes[name]
	if ok && len(p.nodes[i].Inputs) > 0 && len(p.nodes[i].Outputs) == 1 && slices.Contains(ops, p.nodes[i].Op) {
		return &p.nodes[i], i
	}
	return &onnx.Node{Inputs: []string{""}}, -1
}

// alone reports whether only the parts and the last node read what the parts make.
func (p *parts) alone(parts []int, last int) bool {
	for _, i := range parts {
		for _, reader := range p.readers[p.nodes[i].Outputs[0]] {
			if reader != last && !slices.Contains(parts, reader) {
				return false
			}
		}
	}
	return true
}

// layerNorm finds x − mean(x), over the root of the mean of its square and something small.
func (p *parts) layerNorm(div *onnx.Node) (x string, found []int) {
	centred, a := p.by(div.Inputs[0], "Sub")
	mean, b := p.by(centred.Inputs[len(centred.Inputs)-1], "ReduceMean")
	root, c := p.by(div.Inputs[1], "Sqrt")
	plus, d := p.by(root.Inputs[0], "Add")
	variance, e := p.by(plus.Inputs[0], "ReduceMean")
	if e < 0 {
		variance, e = p.by(plus.Inputs[len(plus.Inputs)-1], "ReduceMean")
	}
	square, f := p.by(variance.Inputs[0], "Pow", "Mul")
	all := []int{a, b, c, d, e, f}
	if slices.Contains(all, -1) || mean.Inputs[0] != centred.Inputs[0] || square.Inputs[0] != div.Inputs[0] {
		return "", nil
	}
	return mean.Inputs[0], all
}

// localResponse finds x over a power of what a pool over channels makes of its square.
func (p *parts) localResponse(div *onnx.Node) (x string, found []int) {
	x = div.Inputs[0]
	at := div.Inputs[1]
	pooled := false
	for range 12 {
		n, i := p.by(at, "Pow", "Add", "Mul", "Squeeze", "Reshape", "AveragePool", "Pad", "Unsqueeze")
		if i < 0 {
			return "", nil
		}
		found = append(found, i)
		if pooled = pooled || n.Op == "AveragePool"; pooled && (n.Op == "Mul" || n.Op == "Pow") && n.Inputs[0] == x {
			return x, found
		}
		at = n.Inputs[0]
		if _, made := p.makes[at]; !made || len(n.Inputs) == 2 && (n.Op == "Mul" || n.Op == "Add") && p.from(n.Inputs[1]) {
			at = n.Inputs[len(n.Inputs)-1]
		}
	}
	return "", nil
}

// from reports whether a node that may be a part makes the tensor.
func (p *parts) from(name string) bool {
	_, i := p.by(name, "Pow", "Add", "Mul", "Squeeze", "Reshape", "AveragePool", "Pad", "Unsqueeze")
	return i >= 0
}
