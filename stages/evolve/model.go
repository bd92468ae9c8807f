package evolve

import (
	"math"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
)

// costs are what the model says of a subnet. The latency of one that does not
// run on the platform is infinite.
type costs = raptor.Cost

// model prices the genomes of a codec on a platform. It is not safe for
// concurrent use.
type model struct {
	codec    *codec
	platform raptor.Platform
	table    *raptor.Table
	subnet   arch.Subnet // scratch
}

func newModel(p raptor.Platform, c *codec) (*model, error) {
	table, err := raptor.NewTable(p, c.space)
	return &model{codec: c, platform: p, table: table, subnet: c.space.Largest()}, err
}

// price returns what a genome costs.
func (m *model) price(g genome) (c costs) {
	m.codec.decodeTo(&m.subnet, g)
	if err := m.table.Estimate(&m.subnet, &c); err != nil || c.Unsupported > 0 {
		c.Latency = math.Inf(1)
	}
	return c
}
