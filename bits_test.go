package eyrie_test

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// keyed are the rooms whose numbers become keys or results. A key does not say
// which machine computed, so every machine has to compute the same bits.
var keyed = []string{"./artifacts/...", "./hcl/...", "./nas/...", "./pipeline/...", "./stages/..."}

// The compiler fuses x*y + z into one instruction, which rounds once instead of
// twice, where the processor has it: always on arm64, on amd64 with
// GOAMD64=v3. It must not where the product is converted explicitly. So this
// compiles for arm64, and looks for the instruction.
func TestNoFusedMultiplyAdd(t *testing.T) {
	build := exec.Command("go", append([]string{"build", "-gcflags=-S"}, keyed...)...)
	build.Env = forArm64()
	assembly, err := build.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := build.Start(); err != nil {
		t.Fatal(err)
	}
	places, tail := fusedAt(t, assembly)
	if err := build.Wait(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, strings.Join(tail, "\n"))
	}
	for _, p := range places {
		t.Errorf("%s: a fused multiply-add gives other bits than amd64: write float64(x*y) + z\n\t%s", p, source(t, p))
	}
}

func forArm64() []string { return append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0") }

// slow are the packages whose tests train for minutes under an emulator, or start programs,
// which it cannot. The golden results of train-predictor, train-supernet and train-network
// are made with them.
var slow = []string{"eyrie/nas/nn", "eyrie/nas/nn/deployed", "eyrie/nas/native", "eyrie/nas/predict", "eyrie/nas/torch"}

// An emulated arm64 computes what this machine does: every stage's golden
// results, and what the tests of the vocabulary say that it computes.
func TestArm64(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	if runtime.GOARCH == "arm64" {
		t.Skip("this machine is one: its tests say the same")
	}
	needs(t, "qemu-aarch64")
	list, err := exec.Command("go", "list", "./nas/...", "./pipeline/float").Output()
	if err != nil {
		t.Fatal(err)
	}
	quick := slices.DeleteFunc(strings.Fields(string(list)), func(pkg string) bool { return slices.Contains(slow, pkg) })
	for _, args := range [][]string{{"-run", "^TestGolden$", "./stages/..."}, quick} {
		test := exec.Command("go", append([]string{"test", "-vet=off", "-exec", "qemu-aarch64"}, args...)...)
		test.Env = forArm64()
		out, err := test.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", test, err, out)
		}
		t.Logf("%s", out)
	}
}

var fused = regexp.MustCompile(`\((\S+\.go:\d+)\)\tFN?M(ADD|SUB)[SD]\t`)

// fusedAt returns where in our source the assembly has fused multiply-adds
// that are not written as such, and the last lines that were read.
func fusedAt(t *testing.T, assembly io.Reader) (places, tail []string) {
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(assembly)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if tail = append(tail, lines.Text()); len(tail) > 20 {
			tail = tail[1:]
		}
		m := fused.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		place, err := filepath.Rel(root, m[1])
		ours := err == nil && !strings.HasPrefix(place, "..")
		if ours && !slices.Contains(places, place) && !strings.Contains(source(t, place), "math.FMA(") {
			places = append(places, place)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(places)
	return places, tail
}

// source returns the line at "file:line".
func source(t *testing.T, place string) string {
	path, number, _ := strings.Cut(place, ":")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(number)
	return strings.TrimSpace(strings.Split(string(b), "\n")[n-1])
}

// exact are the functions of math whose result IEEE 754 or their definition
// gives to the last bit.
var exact = regexp.MustCompile(`^(Abs|Ceil|Copysign|FMA|Floor|Frexp|Inf|IsInf|IsNaN|Ldexp|Max|Min|Mod|Modf|NaN|Nextafter(32)?|Round|RoundToEven|Signbit|Sqrt|Trunc|Float(32|64)(from)?bits|` +
	`Pi|E|Sqrt2|Ln2|Ln10|Log2E|Log10E|(Max|Min|SmallestNonzero)[A-Z]\w*)$`)

// Functions whose last digits depend on the processor are not used: float has
// them. Nor is gonum, whose sums are in another order on amd64, but to draw.
func TestFunctionsAreExact(t *testing.T) {
	for _, room := range keyed {
		room = strings.TrimSuffix(strings.TrimPrefix(room, "./"), "/...")
		err := filepath.WalkDir(room, func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Dir(path) == "pipeline/float" || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, found := range inexact(file) {
				t.Errorf("%s: %s", files.Position(found.at), found.what)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

type finding struct {
	at   token.Pos
	what string
}

// inexact finds what in a file depends on the processor.
func inexact(file *ast.File) (found []finding) {
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if strings.HasPrefix(path, "gonum.org/v1/gonum") || path == "math/cmplx" {
			found = append(found, finding{spec.Pos(), path + " rounds differently on other processors: write what is needed of it, with package float"})
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name := call.Sel.Name
		if name == "NormFloat64" || name == "ExpFloat64" {
			found = append(found, finding{call.Pos(), name + " compares sums that may be fused: use float.Normal"})
		}
		if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "math" && !exact.MatchString(name) {
			found = append(found, finding{call.Pos(), fmt.Sprintf("math.%s rounds differently on other processors: use float.%s", name, name)})
		}
		return true
	})
	return found
}
