package hcl_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"eyrie/hcl"
)

// hostile are recipes that ask for more than anybody has, and what is said of them.
var hostile = map[string]struct{ text, want string }{
	"product":            {`output "o" { value = setproduct(range(100), range(100), range(100), range(100), range(100)) }`, "in a call of setproduct"},
	"doubled":            {"locals {\n l0 = [1]\n" + chain("l", "[local.l%[1]d, local.l%[1]d]") + "}", "million parts"},
	"text":               {"locals {\n s0 = \"0123456789\"\n" + chain("s", `"${local.s%[1]d}${local.s%[1]d}"`) + "}", "million"},
	"loops":              {`output "o" { value = [for a in range(1000) : [for b in range(1000) : [for c in range(1000) : a + b + c]]] }`, "million steps"},
	"inside":             {`output "o" { value = ` + nested(40) + ` }`, "million parts"},
	"try":                {`output "o" { value = [for x in range(1000) : try([for a in range(1000) : [for b in range(1000000) : b]], 2)] }`, "million steps"},
	"indent":             {`output "o" { value = indent(2000000000, "a\nb") }`, "in a call of indent"},
	"format":             {`output "o" { value = format("%2000000000d", 1) }`, "in a call of format"},
	"replace":            {"locals { s = join(\"\", [for i in range(100000) : \"aaaaaaaaaa\"]) }\noutput \"o\" { value = replace(local.s, \"a\", local.s) }", "in a call of replace"},
	"compare":            {"locals { a = range(100000) }\noutput \"o\" { value = [for i in local.a : contains(local.a, i)] }", "in a call of contains"},
	"steps":              {"stage \"table\" \"t\" { for_each = { for i in range(130000) : \"k${i}\" => i } }", "at most 120000 steps"},
	"blocks":             {strings.Join(blocks(120001), ""), "at most 120000 steps"},
	"literal":            {`output "o" { value = jsonencode(1e9999999) }`, "Number out of range"},
	"remainder":          {`output "o" { value = "1e999999999" % 7 }`, "Number out of range"},
	"decoded":            {`output "o" { value = jsonencode(jsondecode("[1e9999999]")) }`, "out of range"},
	"digits":             {`output "o" { value = ` + strings.Repeat("1", 3_000_000) + ` }`, "Number out of range"},
	"brackets":           {`output "o" { value = jsondecode(join("", [for i in range(100000) : "["])) }`, "nested more than 2000 deep"},
	"product of numbers": {"locals {\n l0 = 1e300\n" + chain("l", "local.l%[1]d * local.l%[1]d") + "}", "Number out of range"},
	"recipe":             {"locals {\n" + many(20, "length([for i in range(1000000) : i])") + "}", "in all"},
	"device":             {`output "o" { value = file("/dev/zero") }`, "not a regular file"},
}

func chain(name, format string) string {
	var b strings.Builder
	for i := 1; i <= 40; i++ {
		fmt.Fprintf(&b, "  %s%d = %s\n", name, i, fmt.Sprintf(format, i-1))
	}
	return b.String()
}

func many(n int, value string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  l%d = %s\n", i, value)
	}
	return b.String()
}

func blocks(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("stage \"table\" \"t%d\" {}\n", i)
	}
	return all
}

// nested doubles a list n times in one expression.
func nested(n int) string {
	s := "1"
	for i := range n {
		s = fmt.Sprintf("[for a%d in [%s] : [a%[1]d, a%[1]d]]", i, s)
	}
	return s
}

// A recipe that asks for too much is refused where it does, with what to write instead, and
// before it has taken it. The time is for a machine that is busy.
func TestHostile(t *testing.T) {
	if slow || testing.Short() {
		t.Skip("takes a minute, and is about time")
	}
	for name, test := range hostile {
		t.Run(name, func(t *testing.T) {
			done := make(chan hcl.Diagnostics)
			go func() {
				_, diags := loadText(t, test.text, hcl.Options{})
				done <- diags
			}()
			select {
			case diags := <-done:
				if err := diags.Error(); !diags.HasErrors() || !strings.Contains(err, test.want) || !strings.Contains(err, "test.hcl:") {
					t.Errorf("%v; want %q and where", err, test.want)
				}
			case <-time.After(2 * time.Minute):
				t.Fatal("no end")
			}
		})
	}
}

// What an experiment may well have is far from the limits.
func TestGenerous(t *testing.T) {
	if slow || testing.Short() {
		t.Skip("takes a minute, and is about time")
	}
	for _, text := range []string{
		"locals {\n  a = range(1000000)\n  b = [for x in local.a : x * 2 if x % 2 == 0]\n}\noutput \"o\" { value = length(reverse(local.b)) + sum(local.a) }",
		`output "o" { value = sum(reverse([for x in range(1000000) : x * 2])) }`,
		`output "o" { value = sum(jsondecode("[${join(",", range(300000))}]")) }`,
		"stage \"table\" \"t\" {\n  for_each = { for i in range(10000) : \"k${i}\" => i }\n  rows = [for i in range(5) : { a = each.value * i, b = \"n${i}\" }]\n}",
		"stage \"table\" \"t\" {\n  for_each = toset([for i in range(100000) : \"k${i}\"])\n  any = each.key\n}",
	} {
		load(t, text, hcl.Options{})
	}
}

// Of very many mistakes the first are shown, and how many more there are.
func TestBrief(t *testing.T) {
	_, diags := loadText(t, "locals {\n"+many(300, "nope")+"}", hcl.Options{})
	all := diags.Brief().All()
	if diags.Len() != 300 || len(all) != 51 || all[50].Summary != "and 250 more mistakes" {
		t.Errorf("%d mistakes, of which %d are shown, the last %q", diags.Len(), len(all), all[len(all)-1].Summary)
	}
}
