package nn

import "eyrie/nas/arch"

// unit is the weights of a convolution and of the batch normalisation after it:
// those of the largest subnet, of which smaller ones use a part.
type unit struct {
	name   string
	op     arch.Op // Conv, Pointwise or Depthwise
	stride int
	relu   bool // it ends with ReLU6
	maxK   int  // largest kernel
	maxIn  int  // most input channels
	maxOut int  // most output channels

	weight, gamma, beta *param
	transforms          []transform // of a depthwise unit: from each kernel to the next smaller one
	runMean, runVar     []float32   // of the output, per channel: those of the largest subnet over many images

	forward []float32 // weight, packed: see runner.pack; not of a depthwise unit, whose packing depends on the subnet
}

func newUnit(ps *params, name string, op arch.Op, k, stride, in, out int, relu bool) *unit {
	u := &unit{name: name, op: op, stride: stride, relu: relu, maxK: k, maxIn: in, maxOut: out}
	switch op {
	case arch.Conv:
		u.weight = ps.add(name+".weight", k*k*in, out, true, conv(k, in))
	case arch.Pointwise:
		u.weight = ps.add(name+".weight", in, out, true, conv(1, in))
	case arch.Depthwise:
		u.weight = ps.add(name+".weight", k*k, out, true, conv(k, 1))
	}
	u.gamma = ps.add(name+".bn.weight", 1, out, false, vector)
	u.beta = ps.add(name+".bn.bias", 1, out, false, vector)
	u.runMean, u.runVar = aligned(pad16(out)), aligned(pad16(out))
	return u
}
