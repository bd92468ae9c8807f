package calibrate

import (
	"os"
	"strings"
	"testing"

	"eyrie/nas/arch"
	"eyrie/nas/raptor"
	"eyrie/pipeline"
	"eyrie/pipeline/sheet"
)

// parsed reads measurements from a text.
func parsed(text string, r reader) ([]measurement, error) {
	table, err := sheet.Parse("board.csv", []byte(text), sheet.Comments)
	if err != nil {
		return nil, err
	}
	return r.parse(table)
}

// Mistakes in the file are found, with the line.
func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"", "1: the text is empty; its first line must name the columns"},
		{"network,with\n", `1: there is no column "with"`},
		{"network;width;latency\n", "1: the cells have semicolons between them"},
		{"mu,mu\n", `1: column "mu" is there twice`},
		{"network,width,resolution\n# fine\nMobileNetV2,0.5\n", "3: 2 cells where line 1 names 3 columns"},
		{"network,width,resolution\nMobileNetV2,half,96\n", `2: width: "half" is not a number above 0`},
		{"network,width,resolution\nMobileNetV2,-1,96\n", `2: width: "-1" is not a number above 0`},
		{"network,width,resolution\nMobileNetV2,0.5,96.5\n", "2: resolution: 96.5 is not a whole number"},
		{"network,width,resolution\nMobileNetV2,0.5,5000\n", "2: resolution: 5000 is beyond 4096"},
		{"network,width,resolution\nMobileNetV2,0.5,\n", `2: network "MobileNetV2": resolution: must be written`},
		{"network,width,resolution,latency\nMobileNetV2,1,96,0.02\nResNet18,1,96,0.013\n", `3: no network "ResNet18": write MobileNetV2 or mine, or add it to the attribute networks`},
		{"network,mu\nours,0.1\n", `2: no network "ours": write MobileNetV2 or mine`},
		{"network,width,resolution,mu\n,0.5,96,0.1\n", `2: no network "": write MobileNetV2 or mine`},
		{"network,width,resolution,mu\nmobilenetv2,0.5,96,0.1\n", `2: no network "mobilenetv2": write MobileNetV2 or mine`},
		{"network,width,mu\nmine,0.5,0.1\n", `2: width: network "mine" has its own widths; leave the cell empty`},
		{"network,mu\nMobileNetV2,0.1\n", `2: network MobileNetV2 has no width`},
		{"network,width,resolution,kind\nMobileNetV2,0.5,96,guessed\n", `2: kind: "guessed", want measured, published, modelled`},
		{"network,width,resolution,supported\nMobileNetV2,0.5,96,maybe\n", `2: supported: "maybe", want yes, no, or an empty cell`},
	} {
		_, err := parsed(c.file, reader{networks: map[string]arch.Spec{"mine": {Width: 1, Resolution: 96}}})
		if err == nil || !strings.HasPrefix(err.Error(), "board.csv:"+c.want) {
			t.Errorf("%q: %v, want %s", c.file, err, c.want)
		}
	}
}

// A file of somebody else's is read by what it calls its columns; the others are left out.
func TestColumns(t *testing.T) {
	file := "size,px,time_s,board\n0.5,96,0.25,7\n"
	r := reader{columns: map[string]string{"width": "size", "resolution": "px", "latency": "time_s"}}
	ms, err := parsed(file, r)
	if err != nil || len(ms) != 1 || ms[0].latency != 0.25 || ms[0].width != 0.5 || ms[0].resolution != 96 {
		t.Errorf("%+v, %v", ms, err)
	}
	r.columns["mu"] = "efficiency"
	if _, err := parsed(file, r); err == nil || !strings.Contains(err.Error(), `there is no column "efficiency", which columns.mu names`) {
		t.Error(err)
	}
}

// Rows of equal networks are one network, whatever they are called: it is left out of a fit as
// a whole.
func TestGroups(t *testing.T) {
	ms, err := parsed("network,width,resolution,latency\nMobileNetV2,0.5,96,1\nMobileNetV2,0.5,128,1\nmine,,,2\nMobileNetV2,0.5,96,3\n", reader{networks: map[string]arch.Spec{"mine": {Width: 0.5, Resolution: 96}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 0, 0} {
		if ms[i].group != want {
			t.Errorf("row %d: group %d, want %d", i, ms[i].group, want)
		}
	}
	if ms[2].net.Name != "mine" {
		t.Errorf("it is called %q", ms[2].net.Name)
	}
}

// A figure of the file is measured or published, as the file or else the recipe says, and names
// its source; what the file does not have is null.
func TestRowsSayWhereFiguresAreFrom(t *testing.T) {
	ms, err := parsed("network,width,resolution,mu,latency,kind,source\nMobileNetV2,0.5,96,0.1,,published,a paper\nMobileNetV2,0.5,128,0.2,,,board 7\nMobileNetV2,0.5,160,0.2,,,\n", reader{kind: pipeline.Modelled, source: "a tool"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []pipeline.Origin{{Kind: pipeline.Published, Source: "a paper"}, {Kind: pipeline.Modelled, Source: "board 7"}, {Kind: pipeline.Modelled, Source: "a tool"}} {
		r := newRow(&ms[i], &raptor.Estimate{Mu: 1}, &raptor.Estimate{Mu: 1})
		if got := r.MuMeasured; got.Value != ms[i].mu || len(got.Origins) != 1 || got.Origins[0] != want {
			t.Errorf("row %d: %+v, want it %+v", i, got, want)
		}
		if r.LatencyMeasured.Value != nil {
			t.Errorf("row %d: latency %v, want null", i, r.LatencyMeasured)
		}
	}
	if ms, _ = parsed("width,resolution\n1,96\n", reader{}); ms[0].kind != pipeline.Measured {
		t.Errorf("a row that says nothing is %s", ms[0].kind)
	}
}

// No file makes the parser panic, and what it accepts is complete.
func FuzzParse(f *testing.F) {
	paper, err := os.ReadFile(paperCSV)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(paper))
	f.Add("network,width,resolution,mu\nours,,,0.1\nx,1e300,1e300,1\n")
	f.Add("network,role,kind,supported,latency\nours,train,modelled,no,1e-3\n")
	specs := map[string]arch.Spec{"ours": {Width: 0.5, Resolution: 32}}
	f.Fuzz(func(t *testing.T, file string) {
		ms, err := parsed(file, reader{networks: specs})
		if err != nil {
			return
		}
		for _, m := range ms {
			if len(m.net.Layers) == 0 || m.mu < 0 || m.latency < 0 || m.resolution < 1 {
				t.Errorf("accepted %+v", m)
			}
		}
	})
}
