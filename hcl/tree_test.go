package hcl

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Reading and evaluating a recipe leaves its syntax tree as the parser made it.
func TestTreeStaysAsParsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "recipe.hcl")
	const text = `
locals {
  list = [for i, x in [1, 2] : (x > 1 ? x : -x) if i < 2]
  map  = { for x in ["a"] : upper("${x}-%{ if true }y%{ endif }") => [x, local.list[0 + 1]][0] }
  key  = { (upper("a")) = [true ? 1 : 2].0, b = max([1 == 1 ? 1 : 2]...), "${true ? 1 : 2}" = [for x in ["a"] : x]... }
}
output "o" { value = [local.list[length(local.map)], local.key, try(local.map[true ? "A-y" : "b"], null)] }
`
	if err := os.WriteFile(path, []byte(text[:len(text)-1]), 0o666); err != nil {
		t.Fatal(err)
	}
	m := newRecipe(Options{})
	m.load(path)
	fresh, _ := hclsyntax.ParseConfig(m.files[path].Bytes, path, hcl.InitialPos)
	if !reflect.DeepEqual(m.root.bodies[0], fresh.Body) {
		t.Error("the tree is not what the parser made")
	}
}
