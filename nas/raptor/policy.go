package raptor

// Policy is what the compiler makes of the local memory.
type Policy string

// The policies.
const (
	Layerwise Policy = "layerwise" // every map travels, as often as the layer's tiles read it
	Resident  Policy = "resident"  // maps stay between layers that run untiled
	Mixed     Policy = "mixed"     // maps stay wherever there is room
	Spill     Policy = "spill"     // every map travels once; what does not fit travels slowly
)

// conduct is what a policy comes down to. The zero value is [Layerwise].
type conduct struct {
	stays  bool // maps may stay in the local memory from a layer to the next
	beside bool // also beside a layer that runs in tiles
	spills bool // a layer pays for what does not fit, see [Platform.spilled], and not for what its tiles read again
}

// policies holds what each policy comes down to: all that the planner knows of it.
var policies = map[Policy]conduct{
	Layerwise: {},
	Resident:  {stays: true},
	Mixed:     {stays: true, beside: true},
	Spill:     {spills: true},
}

// Choices returns the policies.
func (Policy) Choices() []string {
	return []string{string(Layerwise), string(Resident), string(Mixed), string(Spill)}
}

// conduct returns what the policy comes down to.
func (p Policy) conduct() conduct { return policies[p] }
