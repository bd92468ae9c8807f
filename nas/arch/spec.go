package arch

import (
	"errors"
	"fmt"
	"slices"

	"eyrie/artifacts"
	"eyrie/nas/onnx"
	"eyrie/nas/tflite"
	"eyrie/pipeline/mistake"
)

// Scaling is what one multiplier of widths applies to.
type Scaling string

// The ways to scale; the first where none is written.
const (
	UniformScaling   Scaling = "uniform"   // see [Backbone.Uniform]
	PublishedScaling Scaling = "published" // see [Backbone.Published]
	FullScaling      Scaling = "all"       // see [Backbone.Scaled]
)

// Choices returns the ways to scale.
func (Scaling) Choices() []string {
	return []string{string(UniformScaling), string(PublishedScaling), string(FullScaling)}
}

// Spec says in a recipe which network is meant, in one of five ways:
//
//	network = { width = 0.5, resolution = 160 }               # MobileNetV2, scaled
//	network = { space = stage.s.space, subnet = stage.e.best.subnet }
//	network = { input = {c = 3, h = 32, w = 32}, layers = […] } # see LayerSpec
//	network = { onnx = "${path.recipe}/net.onnx" }            # and resolution, or input, where the file leaves its size open
//	network = { tflite = "${path.recipe}/net.tflite" }
type Spec struct {
	Name       string          `json:"name,omitempty" doc:"what reports call it; derived when not written"`
	Width      float64         `json:"width,omitempty" min:"0" max:"100" doc:"scale a backbone by one multiplier"`
	Widths     Widths          `json:"widths,omitempty" min:"0" max:"100" doc:"scale a backbone by a multiplier for the stem, each group, the head"`
	Scaling    Scaling         `json:"scaling,omitempty" doc:"what width applies to: uniform: the groups, as in the paper; published: all but a head never below its base, as the networks that were trained; all"`
	Rounding   Rounding        `json:"rounding,omitzero" doc:"how scaled widths become channels"`
	Backbone   *Backbone       `json:"backbone,omitempty" doc:"what is scaled; MobileNetV2 when not written"`
	Resolution int             `json:"resolution,omitempty" min:"1" max:"4096" doc:"input size in pixels: of a scaled backbone, or of an ONNX file that leaves it open"`
	Space      *Space          `json:"space,omitempty" doc:"the elastic space of a subnet"`
	Subnet     *Subnet         `json:"subnet,omitempty" doc:"a subnet of the space"`
	Input      Shape           `json:"input,omitzero" doc:"input of a network given by its layers, or of an ONNX file that leaves its size open"`
	Layers     []LayerSpec     `json:"layers,omitempty" doc:"a network given by its layers, each after those it reads"`
	ONNX       *artifacts.File `json:"onnx,omitempty" is:"file" doc:"a network in an ONNX file"`
	TFLite     *artifacts.File `json:"tflite,omitempty" is:"file" doc:"a network in a TensorFlow Lite file, float or quantised"`
}

// Validate returns the mistakes of the spec, a [mistake.List], or nil. A file is not
// looked into.
func (s Spec) Validate() error { return mistake.In(s) }

// Check reports the mistakes of the backbone and the space, and, once all is known,
// why the spec describes no network, or more than one.
func (s Spec) Check(r *mistake.Report) {
	if s.Backbone != nil {
		s.Backbone.Check(r.At("backbone"))
	}
	if s.Space != nil {
		s.Space.Check(r.At("space"))
	}
	if !r.Knows() || !r.Sound() || (s.ONNX != nil || s.TFLite != nil) && s.ways() == 1 {
		return
	}
	_, err := s.Network()
	r.Add(err)
}

// ways counts in how many ways a network is described.
func (s Spec) ways() (n int) {
	for _, way := range []bool{s.Width != 0 || len(s.Widths) > 0, s.Subnet != nil, len(s.Layers) > 0, s.ONNX != nil, s.TFLite != nil} {
		if way {
			n++
		}
	}
	return n
}

// Network returns the network that is meant.
func (s Spec) Network() (n Network, err error) {
	switch {
	case s.ways() != 1:
		err = errors.New("write one of: width (or widths) and resolution; space and subnet; input and layers; onnx; tflite")
	case s.Subnet != nil:
		n, err = s.subnet()
	case len(s.Layers) > 0:
		n, err = newList(s.Input, s.Layers)
	case s.ONNX != nil:
		n, err = s.readONNX()
	case s.TFLite != nil:
		n, err = readTFLite(*s.TFLite)
	default:
		n, err = s.scaled()
	}
	if s.Name != "" {
		n.Name = s.Name
	}
	return n, err
}

// scaled returns a scaled backbone.
func (s Spec) scaled() (n Network, err error) {
	b, w, err := s.scaling()
	if err != nil {
		return n, err
	}
	n = b.Scale(w, s.Resolution, s.Rounding)
	n.Name = "MobileNetV2"
	if s.Backbone != nil {
		n.Name = "backbone"
	}
	if len(s.Widths) > 0 {
		n.Name += fmt.Sprintf(" %v@%d", []float64(w), s.Resolution)
	} else {
		n.Name += fmt.Sprintf(" %v@%d", s.Width, s.Resolution)
	}
	return n, n.Validate()
}

// scaling returns the backbone that is scaled, and its multipliers.
func (s Spec) scaling() (b Backbone, w Widths, err error) {
	b, w = MobileNetV2(), s.Widths
	if s.Backbone != nil {
		b = *s.Backbone
		if err := b.Validate(); err != nil {
			return b, w, mistake.Within("backbone", err)
		}
	}
	if len(w) == 0 {
		switch s.Scaling {
		case "", UniformScaling:
			w = b.Uniform(s.Width)
		case PublishedScaling:
			w = b.Published(s.Width)
		case FullScaling:
			w = b.Scaled(s.Width)
		default:
			return b, w, mistake.At("scaling", "%w", mistake.OneOf(string(s.Scaling), s.Scaling.Choices()))
		}
	} else if s.Width != 0 {
		return b, w, mistake.At("widths", "width is written, too: want one of them")
	}
	if err := b.CheckWidths(w); err != nil {
		return b, w, mistake.Within("widths", err)
	}
	if s.Resolution < 1 {
		return b, w, mistake.At("resolution", "must be written: the input size in pixels, such as 160")
	}
	return b, w, nil
}

// Member returns the network as a subnet of a space that has as little beside it as a space
// can: what trains supernets trains it. Networks that are given by their layers or in a file
// are no subnets.
func (s Spec) Member() (Space, Subnet, error) {
	if len(s.Layers) > 0 || s.ONNX != nil || s.TFLite != nil {
		return Space{}, Subnet{}, errors.New("its layers are given, or in a file: only a subnet of a space or a scaled backbone is trained: write space and subnet, or width and resolution")
	}
	if _, err := s.Network(); err != nil {
		return Space{}, Subnet{}, err
	}
	if s.Subnet != nil {
		return s.Space.Around(*s.Subnet), *s.Subnet, nil
	}
	b, w, err := s.scaling()
	if err != nil {
		return Space{}, Subnet{}, err
	}
	subnet := Subnet{Resolution: s.Resolution}
	for _, g := range b.Groups {
		subnet.Groups = append(subnet.Groups, slices.Repeat([]Block{{g.Expansion, fixed.Kernel}}, g.Repeats))
	}
	return Space{Backbone: b, Widths: w, Rounding: s.Rounding}.Around(subnet), subnet, nil
}

// subnet returns a subnet of a space.
func (s Spec) subnet() (n Network, err error) {
	if s.Space == nil {
		return n, mistake.At("space", "must be written: the space that the subnet is of")
	}
	if err := s.Space.Validate(); err != nil {
		return n, mistake.Within("space", err)
	}
	if err := s.Space.Contains(*s.Subnet); err != nil {
		return n, mistake.At("subnet", "%w", err)
	}
	n = s.Space.Network(*s.Subnet)
	n.Name = fmt.Sprintf("subnet@%d", s.Subnet.Resolution)
	return n, n.Validate()
}

// readONNX reads a network from a file.
func (s Spec) readONNX() (n Network, err error) {
	size := s.Input
	if s.Resolution > 0 {
		if size != (Shape{}) {
			return n, mistake.At("resolution", "input is written, too: want one of them")
		}
		size = Shape{H: s.Resolution, W: s.Resolution}
	}
	b, err := s.ONNX.ReadFile()
	if err != nil {
		return n, mistake.At("onnx", "%w", err)
	}
	m, err := onnx.Parse(b)
	if err == nil {
		n, err = FromONNX(m, size)
	}
	if err != nil {
		return n, mistake.At("onnx", "%w", err)
	}
	return n, nil
}

// readTFLite reads a network from a file.
func readTFLite(f artifacts.File) (n Network, err error) {
	b, err := f.ReadFile()
	if err != nil {
		return n, mistake.At("tflite", "%w", err)
	}
	m, err := tflite.Parse(b)
	if err == nil {
		n, err = FromTFLite(m)
	}
	if err != nil {
		return n, mistake.At("tflite", "%w", err)
	}
	return n, nil
}
