package nn

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"eyrie/artifacts"
	"eyrie/nas/arch"
)

// About is what is certain of a supernet's weights before they are trained.
type About struct {
	Space   arch.Space   `json:"space"`
	HeldOut int          `json:"held_out"`          // see [Supernet.HeldOut]
	Network *arch.Subnet `json:"network,omitempty"` // see [Supernet.Network]
}

// About returns what is certain of the weights.
func (s *Supernet) About() About { return About{s.space, s.HeldOut, s.Network} }

// Promise returns a handle to weights that are not there yet, for checks alone.
func (a About) Promise() artifacts.File {
	b, err := json.Marshal(a)
	if err != nil {
		panic("nn: " + err.Error())
	}
	return artifacts.File{Foreseen: string(b)}
}

// Foreseen returns what a handle promises of the weights behind it, if it does.
func Foreseen(f *artifacts.File) (a About, ok bool) {
	if f == nil || f.Foreseen == "" || json.Unmarshal([]byte(f.Foreseen), &a) != nil || a.Space.Validate() != nil {
		return About{}, false
	}
	return a, true
}

// what returns what the weights are of, and the stage that trains it.
func (a About) what() (noun, stage string) {
	if a.Network != nil {
		return "network", "train-network"
	}
	return "supernet", "train-supernet"
}

// Holdout returns why images cannot be held out that the weights were trained on, or nil.
func (a About) Holdout(n int) error {
	if n <= a.HeldOut {
		return nil
	}
	noun, stage := a.what()
	return fmt.Errorf("the %s is trained on all but %d images, not all but %d: write the holdout of %s", noun, a.HeldOut, n, stage)
}

// Shared returns why there are no subnets to compare, or nil.
func (a About) Shared() error {
	if a.Network == nil {
		return nil
	}
	return errors.New("these are the weights of one network: write those of a train-supernet step, which its subnets share")
}

// Holds returns why a network's weights are not among these, or nil. The network is a subnet
// of a space of its own. Its resolution and its classes may be others.
func (a About) Holds(space arch.Space, n arch.Subnet) error {
	mine := a.Space
	if want := space.Backbone.Input; mine.Backbone.Input != want {
		return fmt.Errorf("their network takes images of %d channels, not %d", mine.Backbone.Input, want)
	}
	mine.Resolutions, mine.Backbone.Classes = []int{n.Resolution}, space.Backbone.Classes
	if err := mine.Contains(n); err != nil {
		return fmt.Errorf("they do not hold this network: %w", err)
	}
	if a.Network != nil {
		other := a.Network.Clone()
		other.Resolution = n.Resolution
		if !other.Equal(n) {
			return fmt.Errorf("they are those of another network, %v", *a.Network)
		}
	}
	layers := mine.Network(n).Layers
	for i, l := range space.Network(n).Layers {
		if !reflect.DeepEqual(l, layers[i]) {
			return fmt.Errorf("they do not hold this network: its layer %s is one of %v to %v, theirs of %v to %v", l.Name, l.In, l.Out, layers[i].In, layers[i].Out)
		}
	}
	return nil
}
