package calibrate

import (
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/pipeline/sheet"
)

// TestProbesAreKnown: what next names of the built-in networks can be measured and written
// into the file as it is called, and a network of the recipe's of that name is meant instead.
func TestProbesAreKnown(t *testing.T) {
	own := map[string]arch.Spec{"linear": chain(arch.Shape{C: 4, H: 1, W: 1}, linear(2))}
	for _, test := range []struct {
		name     string
		networks map[string]arch.Spec
		macs     int64
	}{
		{"linear", nil, 256*512 + 512*512 + 512*256 + 256*10},
		{`"conv, small maps"`, nil, 9*8*8*(32*128+128*128) + 9*4*4*(128*256+256*256) + 256*10},
		{"linear", own, 4 * 2},
	} {
		table, err := sheet.Parse("board.csv", []byte("network,latency\n"+test.name+",0.001\n"), sheet.Comments)
		if err != nil {
			t.Fatal(err)
		}
		r := reader{networks: test.networks}
		ms, err := r.parse(table)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := ms[0].net.MACs(); got != test.macs || ms[0].net.Name != strings.Trim(test.name, `"`) {
			t.Errorf("%s: %d MACs, called %q, want %d", test.name, got, ms[0].net.Name, test.macs)
		}
	}
}
