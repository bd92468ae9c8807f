package hcl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A recipe says how it is written and which values its variables have, so that a journal can
// keep both; what is sensitive is in neither.
func TestWrittenWithoutSecrets(t *testing.T) {
	const text = `variable "epochs" { default = 3 }
variable "user" {
  sensitive = true
  default   = { name = "anna", "key" = "hunter2" }
}
variable "password" {
  default   = <<EOT
hunter2
EOT
  sensitive = true
}
variable "many" { default = [1, 2.5] }
`
	path := filepath.Join(t.TempDir(), "a.hcl")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	r, diags := Load(path, Options{Vars: map[string]string{"epochs": "4"}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if got := r.Files[0]; got.Name != path || strings.Contains(got.Text, "hunter2") || strings.Contains(got.Text, "anna") ||
		!strings.Contains(got.Text, "default   = (sensitive)\n}\nvariable \"password\"") {
		t.Errorf("the text is %s", got.Text)
	}
	want := map[string]string{"epochs": "4", "many": "[1,2.5]", "password": "", "user": ""}
	for _, v := range r.Variables {
		if string(v.Value) != want[v.Name] || v.Given != (v.Name == "epochs") || v.Sensitive != (want[v.Name] == "") {
			t.Errorf("variable %+v, want %s", v, want[v.Name])
		}
		delete(want, v.Name)
	}
	if len(want) > 0 {
		t.Errorf("there is no variable %v", want)
	}
}
