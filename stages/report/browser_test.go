package report_test

import (
	_ "embed" // the probe
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"eyrie/artifacts/store"
	"eyrie/hcl"
	"eyrie/pipeline"
	"eyrie/stages/dataset"
	"eyrie/stages/plot"
	"eyrie/stages/report"
	"eyrie/stages/table"
)

// makePage runs a recipe of testdata and returns the file of the page that it makes.
func makePage(t *testing.T, name string) string {
	t.Helper()
	recipe, diags := hcl.Load(filepath.Join("testdata", name), hcl.Options{
		Stages: []*pipeline.Stage{dataset.Stage, table.Stage, plot.Stage, report.Stage},
	})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	store, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pipeline.NewPlan(t.Context(), recipe, store, pipeline.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	run, err := pipeline.Execute(t.Context(), plan, store, pipeline.RunOptions{})
	if err != nil || run.Status != pipeline.Succeeded {
		for _, s := range run.Steps {
			t.Log(s.ID, s.Err)
		}
		t.Fatal(run.Status, err)
	}
	output, _ := run.Known("page")
	var made report.Output
	if err := json.Unmarshal(output, &made); err != nil {
		t.Fatal(err)
	}
	file, err := store.Fetch(t.Context(), made.HTML)
	if err != nil {
		t.Fatal(err)
	}
	b, err := file.ReadFile()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// probe defines what the tests look at in the page.
//
//go:embed testdata/probe.js
var probe string

// The page does in a browser what it promises. To look at any page with one's own
// eyes, too:
//
//	EYRIE_PAGE=$PWD/report.html EYRIE_SCREENSHOTS=/tmp go test -run Browser/looks ./stages/report
func TestBrowser(t *testing.T) {
	file := makePage(t, "page.hcl")
	b := startBrowser(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *browser, string)
	}{{"looks", testLooks}, {"sort", testSort}, {"origin", testOrigin}, {"theme", testTheme}, {"hostile", testHostile}} {
		t.Run(test.name, func(t *testing.T) {
			b.t, b.errors = t, nil
			test.run(t, b, file)
			if len(b.errors) > 0 {
				t.Errorf("the page's script: %v", b.errors)
			}
		})
	}
}

// In each theme, at desktop and phone width, nothing is wider than the window,
// no label is cut or covers another, and all can be told from the page.
func testLooks(t *testing.T, b *browser, file string) {
	pictures := os.Getenv("EYRIE_SCREENSHOTS")
	if other := os.Getenv("EYRIE_PAGE"); other != "" {
		file = other
	}
	for _, theme := range []string{"light", "dark"} {
		for name, width := range map[string]int{"desktop": 1280, "phone": 390} {
			b.show(file, width, 900, theme, name == "phone")
			if pictures != "" {
				b.pictures(filepath.Join(pictures, name+"-"+theme), width)
			}
			b.eval(probe, nil)
			for what, script := range map[string]string{
				"wider than the window": fmt.Sprintf("tooWide(%d)", width), "cut": "cut()", "overlapping": "overlaps()", "of too little contrast": "faint()",
			} {
				var got []string
				b.eval(script, &got)
				if len(got) > 0 {
					t.Errorf("%s, %s: %s: %q", name, theme, what, got)
				}
			}
		}
	}
	if pictures != "" {
		var printed struct{ Data []byte }
		b.call("Page.printToPDF", object{}, &printed)
		b.write(filepath.Join(pictures, "print.pdf"), printed.Data)
	}
}

// pictures writes the page as PNG, in parts that can be read.
func (b *browser) pictures(name string, width int) {
	b.t.Helper()
	const part = 1400
	var height int
	b.eval(`document.documentElement.scrollHeight`, &height)
	for top := 0; top < height; top += part {
		var shot struct{ Data []byte }
		clip := object{"x": 0, "y": top, "width": width, "height": min(part, height-top), "scale": 1}
		b.call("Page.captureScreenshot", object{"captureBeyondViewport": true, "clip": clip}, &shot)
		b.write(fmt.Sprintf("%s-%02d.png", name, top/part), shot.Data)
	}
}

func (b *browser) write(file string, content []byte) {
	b.t.Helper()
	if err := os.WriteFile(file, content, 0o666); err != nil {
		b.t.Fatal(err)
	}
}

// Tables sort by the mouse and the keyboard; what is missing stays last.
func testSort(t *testing.T, b *browser, file string) {
	b.show(file, 1280, 900, "light", false)
	b.eval(probe, nil)
	var got []string
	up := []string{"RaptorNet", "MobileNetV2 0.5", "MobileNetV2 0.35", "MCUNet (STM32)"}
	down := slices.Clone(up)
	slices.Reverse(down)
	for _, test := range []struct {
		do   func()
		want []string
	}{
		{func() { b.click("heading(1)") }, up},
		{func() { b.eval("heading(1).focus()", nil); b.key("Enter") }, down},
		{func() { b.click("heading(2)") }, []string{"MobileNetV2 0.35", "MobileNetV2 0.5", "RaptorNet", "MCUNet (STM32)"}},
	} {
		test.do()
		if b.eval("firstColumn()", &got); !slices.Equal(got, test.want) {
			t.Errorf("sorted to %q, want %q", got, test.want)
		}
	}
}

// Where a number or a point came from is shown by a click, a tap and a key, with
// a link to its step; Escape closes it, and the keyboard is back where it was.
func testOrigin(t *testing.T, b *browser, file string) {
	var got string
	for _, phone := range []bool{false, true} {
		b.show(file, map[bool]int{false: 1280, true: 390}[phone], 900, "light", phone)
		b.eval(probe, nil)
		for target, want := range map[string]string{
			`cell("87.1")`:                         "MobileNetV2 0.5, latency (ms): 87.1|published: Castagnetti et al., table 3|Close",
			`cell("24")`:                           `few, images, training: 24|measured: images["few"].dataset.train.count|Close`,
			`point("activations\nbottleneck 1\n")`: "activations|bottleneck 1|memory: 1172 KiB|given|Close",
			`point("mean of the set\nmore")`:       `mean of the set|more|latency: 100 ms|given|top-1: 57.86 %|measured: images["more"].dataset.mean[0]|Close`,
		} {
			b.click(target)
			if b.eval("shown()", &got); got != want {
				t.Errorf("phone %v: %s shows %q, want %q", phone, target, got, want)
			}
			var outside bool
			if b.eval("noteOutside()", &outside); outside {
				t.Errorf("phone %v: what %s shows is not within the window", phone, target)
			}
		}
	}
	b.show(file, 1280, 900, "light", false)
	b.eval(probe, nil)
	b.eval(`cell("24").querySelector("a").focus()`, nil)
	b.key("Enter")
	b.key("Escape")
	if b.eval(`document.activeElement.textContent + shown()`, &got); got != "24" {
		t.Errorf("after Escape: %q", got)
	}
	b.key("Enter")
	b.click(`document.querySelector("#origin a")`)
	if b.eval(`[...document.querySelectorAll("details[open] summary b")].map((d) => d.textContent).join() + shown()`, &got); got != `images["few"]` {
		t.Errorf("its link opens %q", got)
	}
}

// The reader's choice of theme wins over the system's.
func testTheme(t *testing.T, b *browser, file string) {
	b.show(file, 1280, 900, "dark", false)
	var paper string
	for _, want := range []string{"rgb(20, 23, 26)", "rgb(255, 255, 255)", "rgb(20, 23, 26)", "rgb(20, 23, 26)"} {
		if b.eval("getComputedStyle(document.documentElement).backgroundColor", &paper); paper != want {
			t.Errorf("the page is %s, want %s", paper, want)
		}
		b.click(`document.getElementById("theme")`)
	}
}

// Whatever texts say, they stay texts, and the page stays in its window; a table
// of thousands of rows can be sorted and asked.
func testHostile(t *testing.T, b *browser, _ string) {
	file := makePage(t, "hostile.hcl")
	for _, width := range []int{1280, 390} {
		b.show(file, width, 900, "light", width < 400)
		b.eval(probe, nil)
		for script, want := range map[string]string{
			`String(globalThis.harmed)`: "undefined",
			`document.querySelectorAll("main :is(img, script, style, iframe), main [onerror], main [onfocus], main [onmouseover], [href^='javascript']").length + ""`: "0",
			`document.querySelector("h1").textContent.includes("<script>globalThis.harmed = 1</script>") + ""`:                                                        "true",
			fmt.Sprintf("tooWide(%d).join()", width):                                             "",
			`heading(1).click(), document.querySelector("tbody tr td:nth-child(2)").textContent`: "0",
		} {
			var got string
			if b.eval(script, &got); got != want {
				t.Errorf("%d wide: %s is %q, want %q", width, script, got, want)
			}
		}
		var shown string
		b.click(`cell("3")`)
		if b.eval("shown()", &shown); !strings.Contains(shown, "|measured: ") {
			t.Errorf("%d wide: a cell shows %q", width, shown)
		}
	}
}

// click clicks the middle of an element; on a phone it is a tap.
func (b *browser) click(element string) {
	b.t.Helper()
	var at []float64
	b.eval(fmt.Sprintf(`(() => {
		const e = %s; e.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
		const r = (e.getClientRects()[0] || e.getBoundingClientRect());
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`, element), &at)
	if b.phone {
		b.call("Input.dispatchTouchEvent", object{"type": "touchStart", "touchPoints": []object{{"x": at[0], "y": at[1]}}}, nil)
		b.call("Input.dispatchTouchEvent", object{"type": "touchEnd", "touchPoints": []object{}}, nil)
	} else {
		for _, kind := range []string{"mousePressed", "mouseReleased"} {
			b.call("Input.dispatchMouseEvent", object{"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1}, nil)
		}
	}
	b.eval("new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(1), 30)))", nil)
}

// key presses a key.
func (b *browser) key(name string) {
	b.t.Helper()
	press := object{"type": "keyDown", "key": name, "code": name, "windowsVirtualKeyCode": map[string]int{"Enter": 13, "Escape": 27}[name]}
	if name == "Enter" {
		press["text"] = "\r"
	}
	b.call("Input.dispatchKeyEvent", press, nil)
	b.call("Input.dispatchKeyEvent", object{"type": "keyUp", "key": name, "code": name}, nil)
}
