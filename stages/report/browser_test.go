package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"eyrie/artifacts"
	"eyrie/hcl"
	"eyrie/pipeline"
	"eyrie/stages/dataset"
	"eyrie/stages/plot"
	"eyrie/stages/report"
	"eyrie/stages/table"
)

// page runs testdata/page.hcl and returns the page that it makes.
func page(t *testing.T) string {
	t.Helper()
	recipe, diags := hcl.Load("testdata/page.hcl", hcl.Options{
		Stages: []*pipeline.Stage{dataset.Stage, table.Stage, plot.Stage, report.Stage},
	})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	store, err := artifacts.OpenDir(t.TempDir())
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
	return string(b)
}

// probe is appended to the page: it handles it as a person would, and leaves
// what it saw in the document.
const probe = `<script>{
const seen = {errors: [], cut: [], overlaps: []};
addEventListener("error", (e) => seen.errors.push(e.message));
const column = () => [...document.querySelector("figure.table tbody").rows].map((r) => r.cells[0].textContent.trim());
const heads = document.querySelector("figure.table thead").querySelectorAll('th[scope="col"]');
heads[1].click();
seen.up = column();
heads[1].dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}));
seen.down = column();
heads[2].click();
seen.missing = column();
const link = document.querySelector("td a").getAttribute("href");
seen.linked = document.getElementById(link.slice(1)) instanceof HTMLDetailsElement;
const button = document.getElementById("theme");
const paper = () => getComputedStyle(document.documentElement).backgroundColor;
button.click();
seen.light = paper();
button.click();
seen.dark = paper();
seen.ink = getComputedStyle(document.querySelector(".plot svg text")).fill;
seen.hover = document.querySelectorAll(".plot svg title").length;
document.querySelectorAll("details").forEach((d) => { d.open = true; });
seen.pageWidth = document.documentElement.scrollWidth;
seen.width = innerWidth;
const inside = (r, f) => r.left >= f.left - 1 && r.right <= f.right + 1 && r.top >= f.top - 1 && r.bottom <= f.bottom + 1;
for (const svg of document.querySelectorAll("svg")) {
	const frame = svg.getBoundingClientRect();
	const texts = [...svg.querySelectorAll("text")];
	for (const t of texts) if (!inside(t.getBoundingClientRect(), frame)) seen.cut.push(t.textContent);
	for (const n of svg.querySelectorAll(".node")) {
		const box = n.querySelector("rect").getBoundingClientRect();
		for (const t of n.querySelectorAll("text")) if (!inside(t.getBoundingClientRect(), box)) seen.cut.push(t.textContent);
	}
	// Slanted texts have boxes that overlap though they do not.
	const level = texts.filter((t) => !/rotate/.test(t.parentElement.getAttribute("transform") || "")).map((t) => [t.textContent, t.getBoundingClientRect()]);
	level.forEach(([a, p], i) => level.slice(i + 1).forEach(([b, q]) => {
		if (Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 3) seen.overlaps.push(a + " / " + b);
	}));
}
const result = document.createElement("pre");
result.id = "seen";
result.textContent = JSON.stringify(seen);
document.body.append(result);
}</script>`

// sight is what the probe reports.
type sight struct {
	Errors, Up, Down, Missing, Cut, Overlaps []string
	Linked                                   bool
	Light, Dark, Ink                         string
	PageWidth, Width, Hover                  int
}

// In a browser, at desktop and phone width, tables sort, numbers lead to their
// steps, both themes show, and no label is cut or covers another.
func TestBrowser(t *testing.T) {
	whole := page(t)
	probed := regexp.MustCompile(`<meta http-equiv[^>]*>`).ReplaceAllString(whole, "") // or else the probe would not run
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(strings.Replace(probed, "</body>", probe+"</body>", 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, width := range map[string]int{"desktop": 1200, "phone": 500} { // the narrowest window that headless Chromium opens
		t.Run(name, func(t *testing.T) {
			dom := string(browse(t, fmt.Sprintf("--window-size=%d,900", width), "--dump-dom", "file://"+file))
			m := regexp.MustCompile(`<pre id="seen">(.*?)</pre>`).FindStringSubmatch(dom)
			if m == nil {
				t.Fatal("the probe left nothing in the page")
			}
			var got sight
			if err := json.Unmarshal([]byte(html.UnescapeString(m[1])), &got); err != nil {
				t.Fatal(err)
			}
			up := []string{"RaptorNet", "MobileNetV2 0.5", "MobileNetV2 0.35", "MCUNet (STM32)"}
			down := slices.Clone(up)
			slices.Reverse(down)
			if !slices.Equal(got.Up, up) || !slices.Equal(got.Down, down) {
				t.Errorf("sorted up: %v, down: %v", got.Up, got.Down)
			}
			if got.Missing[3] != "MCUNet (STM32)" {
				t.Errorf("what is missing is not last: %v", got.Missing)
			}
			if !got.Linked {
				t.Error("a number's link leads to no step")
			}
			if got.Light != "rgb(255, 255, 255)" || got.Dark == got.Light || got.Ink == "rgb(0, 0, 0)" {
				t.Errorf("light %s, dark %s, and there the figures' ink %s", got.Light, got.Dark, got.Ink)
			}
			if got.PageWidth > got.Width {
				t.Errorf("the page is %d wide in a window of %d", got.PageWidth, got.Width)
			}
			if len(got.Errors)+len(got.Cut)+len(got.Overlaps) > 0 || got.Hover < 20 {
				t.Errorf("errors %q, cut %q, overlaps %q, %d texts on hover", got.Errors, got.Cut, got.Overlaps, got.Hover)
			}
		})
	}
	if dir := os.Getenv("EYRIE_SCREENSHOTS"); dir != "" {
		screenshots(t, whole, dir)
	}
}

// screenshots writes pictures for people to look at.
func screenshots(t *testing.T, page, dir string) {
	t.Helper()
	for _, theme := range []string{"light", "dark"} {
		file := filepath.Join(t.TempDir(), theme+".html")
		if err := os.WriteFile(file, []byte(strings.Replace(page, "<html ", `<html data-theme="`+theme+`" `, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		for name, size := range map[string]string{"desktop": "1200,3400", "phone": "500,3400"} {
			browse(t, "--window-size="+size, "--screenshot="+filepath.Join(dir, name+"-"+theme+".png"), "file://"+file)
		}
	}
}

// browse runs Chromium. Under CI it must be there.
func browse(t *testing.T, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI needs chromium: ", err)
		}
		t.Skip("no chromium: ", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + t.TempDir(),
	}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return out
}
