package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/nas/unit"
)

// explained is how many of the costliest layers are explained.
const explained = 3

// summary says in words what an engineer would read out of the figures.
func summary(p raptor.Platform, net arch.Network, e raptor.Estimate, r Roofline) []string {
	s := []string{
		fmt.Sprintf("%s takes %s%s at %s: %s MACs, %.1f per cycle (%.1f %% of the peak %d).",
			e.Network, takes(p, e), on(p), si(p.Clock, "Hz"),
			si(float64(e.MACs), ""), r.Attained/p.Clock, 100*r.Attained/r.Peak, p.PEs),
		transfers(e, r),
		bounds(e),
		memory(p, e),
	}
	for _, i := range e.Costliest(explained) {
		s = append(s, p.Explain(&net, &e, i))
	}
	if e.Bounded {
		s = append(s, unfollowed)
	}
	if len(e.Unsupported) > 0 {
		s = append(s, fmt.Sprintf("%s: more weights than the platform supports in a layer (%s); what it costs all the same is a guess of the model.",
			strings.Join(e.Unsupported, ", "), bytes(int(p.WeightLimit))))
	}
	return s
}

// takes says what an inference takes: energy only where the platform's power is known.
func takes(p raptor.Platform, e raptor.Estimate) string {
	if p.Power == 0 {
		return si(e.Latency, "s")
	}
	return fmt.Sprintf("%s and %s", si(e.Latency, "s"), si(e.Energy, "J"))
}

// on names the platform, if it has a name.
func on(p raptor.Platform) string {
	if p.Name == "" {
		return ""
	}
	return " on " + p.Name
}

func transfers(e raptor.Estimate, r Roofline) string {
	if e.SYSCycles == 0 {
		return "Moving data costs nothing on this platform."
	}
	s := fmt.Sprintf("%s are moved, %.1f MACs per byte; moving takes %.0f %% of the cycles (μ = %.3f). ",
		bytes(e.Traffic), r.Intensity, 100*e.SYSCycles/(e.NPUCycles+e.SYSCycles), e.Mu)
	if r.Bound == "transfers" {
		return s + fmt.Sprintf("Transfers are the limit: only from %.1f MACs per byte on would the NPU's peak be.", *r.Ridge)
	}
	return s + "Computing is the limit."
}

func memory(p raptor.Platform, e raptor.Estimate) string {
	peak := slices.MaxFunc(e.Layers, func(a, b raptor.LayerCost) int { return cmp.Compare(a.Memory+a.Held, b.Memory+b.Held) })
	tiled, resident := 0, 0
	for _, l := range e.Layers {
		if l.Tiles > 1 {
			tiled++
		}
		if l.OutResident {
			resident++
		}
	}
	return fmt.Sprintf("%d of %d layers are cut into tiles; %d leave their result in the local memory for the next. The most memory, %s of %s, is occupied by %s.",
		tiled, len(e.Layers), resident, bytes(e.PeakMemory), p.Memories(), peak.Name)
}

// unfollowed says that a faster schedule may have been missed.
const unfollowed = "There are more ways to place this network's maps in memory than could be followed: the times are those of a schedule that can be run, and a faster one may exist."

// bounds compares what is moved with what must be.
func bounds(e raptor.Estimate) string {
	return fmt.Sprintf("Running layer by layer would move at least %s, %.2f times as much; with every map kept in the local memory it would be %s, %.2f times as much.",
		bytes(int(e.LayerBound)), float64(e.LayerBound)/float64(e.Traffic), bytes(int(e.FusedBound)), float64(e.FusedBound)/float64(e.Traffic))
}

// si writes a quantity with three digits and a prefix.
func si(v float64, u string) string {
	return unit.SI(v, u, func(v float64) string { return fmt.Sprintf("%.3g", v) })
}

func bytes(n int) string { return unit.Bytes(int64(n)) }
