package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A job whose site's lines fail, or whose node lacks the program, says so at once and in the
// step's log, as a performer would, in the file of the element's next start. What the lines set
// reaches the program.
func TestScriptSaysWhatFails(t *testing.T) {
	performer := filepath.Join(t.TempDir(), "it's a runner")
	if err := os.WriteFile(performer, []byte("#!/bin/sh\necho \"$GREETING $*\"\n"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		setup         []string
		program       string
		printed, said string
	}{
		{[]string{"GREETING='good day'", "export GREETING", "set -- other arguments"}, performer, "good day perform --element 3", ""},
		{[]string{"if true; then\n  export GREETING=hi\nfi # a comment"}, performer, "hi perform", ""},
		{[]string{"eyrie-has-no-such-module load 'x\\n'"}, performer, "exit status 127", `setup of executor "gpu" failed: eyrie-has-no-such-module load 'x\n'`},
		{[]string{"if foo", "true"}, performer, "exit status", `setup of executor "gpu" failed: if foo`},
		{[]string{"(exit 7)"}, performer, "(exit 7): exit status 7", `setup of executor "gpu" failed: (exit 7)`},
		{[]string{"true", "exit 0"}, performer, "exit status 0", `setup of executor "gpu" failed: exit 0`},
		{[]string{"exit 3"}, performer, "exit 3: exit status 3", `setup of executor "gpu" failed: exit 3`},
		{[]string{"kill -TERM $$"}, performer, "", ""},
		{nil, "/no/such/runner", "exit status 127", `executor "gpu": its node has no program /no/such/runner (runner in the site file)`},
	} {
		for _, shell := range []string{"sh", "bash"} {
			t.Run(fmt.Sprint(shell, test.setup), func(t *testing.T) {
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "3.0.events"), nil, 0o666); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(shell, "-s", "3")
				if shell == "bash" {
					cmd.Args = []string{shell, "--posix", "-s", "3"}
				}
				cmd.Stdin = strings.NewReader((&Executor{Name: "gpu", Setup: test.setup}).script(test.program, `--element "$eyrie_element"`, tellFile(dir)))
				printed, err := cmd.CombinedOutput()
				if !strings.Contains(string(printed), test.printed) || (err != nil) != (test.said != "" || test.printed == "") {
					t.Errorf("%v, printed %q, want %q", err, printed, test.printed)
				}
				a := &attempt{}
				a.hearAll(filepath.Join(dir, "3"))
				if got := a.last.Failure; test.said == "" && got != nil || test.said != "" && (got == nil || got.Message != test.said) {
					t.Errorf("said %+v, want %q", got, test.said)
				}
				if a.heard {
					t.Error("it counts as a node that has performed something")
				}
			})
		}
	}
}
