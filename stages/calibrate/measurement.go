package calibrate

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"eyrie/artifacts"
	"eyrie/nas/arch"
	"eyrie/pipeline"
	"eyrie/pipeline/sheet"
)

// measurement is a row of the file.
type measurement struct {
	line              int
	set, name, source string
	role              string
	kind              pipeline.Provenance // measured or published
	width             float64             // of MobileNetV2; 0 for a network named in the recipe
	resolution        int
	macs, mu, latency float64 // 0 where not measured
	supported         string  // yes, no, or empty where not known
	net               arch.Network
	group             int  // equal for measurements of the same network
	held              bool // it is not fitted to, but predicted
}

// errorf says of which row an error is.
func (m *measurement) errorf(format string, args ...any) error {
	return fmt.Errorf("line %d: network %q: %w", m.line, m.net.Name, fmt.Errorf(format, args...))
}

// columns are those that the file may have. The first line names those it has.
var columns = []string{"set", "network", "width", "resolution", "macs", "mu", "latency", "supported", "role", "kind", "source"}

// maxResolution is the largest input that is accepted, in pixels.
const maxResolution = 4096

// reader turns rows of a file into measurements.
type reader struct {
	networks map[string]arch.Spec
	scaling  arch.Spec           // of what only has a width
	columns  map[string]string   // what the file calls a column that is called otherwise here
	kind     pipeline.Provenance // of rows that say none
	source   string
}

// read reads a CSV file. An error says in which line.
func (r *reader) read(f artifacts.File) ([]measurement, error) {
	table, err := sheet.Read(f, sheet.Comments)
	if err != nil {
		return nil, err
	}
	return r.parse(table)
}

// parse reads measurements from a table.
func (r *reader) parse(table *sheet.Sheet) ([]measurement, error) {
	names := slices.Clone(table.Columns)
	for ours, theirs := range r.columns {
		i := slices.Index(table.Columns, theirs)
		if i < 0 {
			return nil, table.Errorf(table.Line, "there is no column %q, which columns.%s names; there are %s", theirs, ours, strings.Join(table.Columns, ", "))
		}
		names[i] = ours
	}
	for i, name := range names {
		switch {
		case name == table.Columns[i] && r.columns[name] != "" && r.columns[name] != name:
			names[i] = "" // the recipe says that another one is meant
		case slices.Contains(columns, name):
		case len(r.columns) > 0: // a file of somebody else's, of which the recipe says what it wants
			names[i] = ""
		default:
			return nil, table.Errorf(table.Line, "there is no column %.40q; the columns are %s. Write the attribute columns for a file whose columns are called otherwise", name, strings.Join(columns, ", "))
		}
	}
	ms := make([]measurement, 0, len(table.Rows))
	for _, row := range table.Rows {
		m, err := r.measurement(names, row.Cells)
		if err != nil {
			return nil, table.Errorf(row.Line, "%w", err)
		}
		m.line = row.Line
		m.group = len(ms)
		for i := range ms {
			if sameNetwork(&ms[i].net, &m.net) {
				m.group = ms[i].group
				break
			}
		}
		ms = append(ms, m)
	}
	return ms, nil
}

func (r *reader) measurement(head, cells []string) (m measurement, err error) {
	if m.kind, m.source = r.kind, r.source; m.kind == "" {
		m.kind = pipeline.Measured
	}
	var resolution float64
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		switch head[i] {
		case "set":
			m.set = cell
		case "network":
			m.name = cell
		case "source":
			if cell != "" {
				m.source = cell
			}
		case "role":
			m.role = cell
		case "kind":
			switch kind := pipeline.Provenance(cell); kind {
			case "":
			case pipeline.Measured, pipeline.Published, pipeline.Modelled:
				m.kind = kind
			default:
				err = fmt.Errorf("kind: %q, want measured, published, modelled (by another tool), or an empty cell for measured", cell)
			}
		case "supported":
			if m.supported = cell; cell != "" && cell != "yes" && cell != "no" {
				err = fmt.Errorf("supported: %q, want yes, no, or an empty cell", cell)
			}
		case "width":
			err = number(head[i], cell, &m.width)
		case "resolution":
			err = number(head[i], cell, &resolution)
		case "macs":
			err = number(head[i], cell, &m.macs)
		case "mu":
			err = number(head[i], cell, &m.mu)
		case "latency":
			err = number(head[i], cell, &m.latency)
		}
		if err != nil {
			return m, err
		}
	}
	if resolution > maxResolution {
		return m, fmt.Errorf("resolution: %v is beyond %d", resolution, maxResolution)
	}
	if m.resolution = int(resolution); float64(m.resolution) != resolution {
		return m, fmt.Errorf("resolution: %v is not a whole number", resolution)
	}
	spec, err := m.spec(slices.Contains(head, "network"), r.networks, r.scaling)
	if err != nil {
		return m, err
	}
	if m.resolution != 0 {
		spec.Resolution = m.resolution
	}
	if m.net, err = spec.Network(); err != nil {
		return m, fmt.Errorf("network %q: %w", m.name, err)
	}
	if m.width == 0 { // what the recipe names is called as the file calls it
		m.net.Name = m.name
	}
	m.resolution = m.net.Input.H
	return m, nil
}

// spec returns the network that the row is about: MobileNetV2, as is every row of a
// file without a column network, one of those that the recipe names, or a built-in probe,
// so that what next names can be measured and written down.
func (m *measurement) spec(hasName bool, networks map[string]arch.Spec, scaling arch.Spec) (arch.Spec, error) {
	spec, named := networks[m.name]
	if !named {
		spec, named = probes[m.name]
	}
	switch {
	case named && m.width != 0:
		return spec, fmt.Errorf("width: network %q has its own widths; leave the cell empty", m.name)
	case named:
		return spec, nil
	case hasName && m.name != mobileNet:
		known := append([]string{mobileNet}, slices.Sorted(maps.Keys(networks))...)
		return spec, fmt.Errorf("no network %q: write %s, or add it to the attribute networks", m.name, strings.Join(known, " or "))
	case m.width == 0:
		return spec, fmt.Errorf("network %s has no width: write one, or name a network of your own in the attribute networks", mobileNet)
	}
	spec = scaling
	spec.Name, spec.Width = fmt.Sprintf("%s %v@%d", mobileNet, m.width, m.resolution), m.width
	return spec, nil
}

// mobileNet is the network that a file may name without the recipe.
const mobileNet = "MobileNetV2"

// believable are the figures beyond which a unit was mistaken, or a column.
var believable = map[string]struct {
	least, most float64
	want        string
}{
	"latency": {1e-9, 1e6, "seconds, from 1e-9 to 1e6"},
	"mu":      {1e-9, 1e9, "NPU cycles / SYS cycles, from 1e-9 to 1e9"},
}

// number parses a cell that may be empty.
func number(column, cell string, v *float64) error {
	if cell == "" {
		return nil
	}
	x, err := strconv.ParseFloat(cell, 64)
	if err != nil || !(x > 0) || math.IsInf(x, 0) {
		return fmt.Errorf("%s: %q is not a number above 0; leave the cell empty if it was not measured", column, cell)
	}
	if q, ok := believable[column]; ok && (x < q.least || x > q.most) {
		return fmt.Errorf("%s: %s can hardly be meant: want %s", column, cell, q.want)
	}
	*v = x
	return nil
}

// sameNetwork reports whether two networks have the same layers.
func sameNetwork(a, b *arch.Network) bool {
	return a.Input == b.Input && slices.EqualFunc(a.Layers, b.Layers, func(k, l arch.Layer) bool {
		return k.Op == l.Op && k.In == l.In && k.Out == l.Out && k.Kernel == l.Kernel && k.Stride == l.Stride && k.Dilation == l.Dilation && k.Pad == l.Pad &&
			k.Groups == l.Groups && slices.Equal(k.Inputs, l.Inputs)
	})
}
