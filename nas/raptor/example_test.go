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
	// 54.7 M MACs, 82.6 ms, 845 µJ, μ 0.115
	// g2.b1.depthwise takes 13 ms, 16 % of the network's time; 95 % of its cycles move 300 KiB of activations at 8.09 cycles a byte. Whole it takes 376 KiB, 96 KiB more than there is, so it runs in 2 tiles of 40 rows × 24 channels. Its input travels; its result stays in the local memory. It would run whole with 96 KiB more local memory, with 75 % of its channels, or at 86 % of the resolution.
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
	// 19.9 M MACs, 19.4 ms, μ 0.187
	// 88.6 M MACs, 126.4 ms, μ 0.255
}
