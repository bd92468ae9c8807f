package raptor_test

import (
	"fmt"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
)

// A network is priced on a platform, and the layer that takes longest explained.
func ExamplePlatform_Estimate() {
	p, err := raptor.Preset("tinyraptor")
	if err != nil {
		panic(err)
	}
	b := arch.MobileNetV2()
	net := b.Scale(b.Uniform(0.5), 160, arch.Rounding{})
	e, err := p.Estimate(net)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.1f M MACs, %.1f ms, %.0f µJ, μ %.3f\n", float64(e.MACs)/1e6, 1e3*e.Latency, 1e6*e.Energy, e.Mu)
	fmt.Println(p.Explain(&net, &e, e.Costliest(1)[0]))
	// Output:
	// 54.7 M MACs, 82.2 ms, 840 µJ, μ 0.115
	// g1.b1.depthwise takes 12.5 ms, 15 % of the network's time; 81 % of its cycles move 200 KiB of activations for which there is no room, at 9.9 cycles a byte. Whole it takes 400 KiB, 200 KiB more than there is, so it runs in 3 tiles of 80 rows × 11 channels. All that it moves, 400 KiB, travels once. It would run whole with 200 KiB more local memory, with 50 % of its channels, or at 71 % of the resolution.
}

// Subnets of an elastic space are priced through a table of their blocks.
func ExampleTable() {
	p, err := raptor.Preset("tinyraptor")
	if err != nil {
		panic(err)
	}
	b := arch.MobileNetV2()
	space := arch.Space{Backbone: b, Widths: b.Uniform(0.5), Resolutions: []int{128, 160},
		Expansions: []int{3, 4, 6}, Depths: []int{2, 3, 4}, Kernels: []int{3, 5}}
	table, err := raptor.NewTable(p, space)
	if err != nil {
		panic(err)
	}
	for _, n := range []arch.Subnet{space.Smallest(), space.Largest()} {
		var c raptor.Cost
		if err := table.Estimate(&n, &c); err != nil {
			panic(err)
		}
		fmt.Printf("%.1f M MACs, %.1f ms, μ %.3f\n", float64(c.MACs)/1e6, 1e3*c.Latency, c.Mu)
	}
	// Output:
	// 19.9 M MACs, 22.5 ms, μ 0.161
	// 88.6 M MACs, 110.6 ms, μ 0.128
}
