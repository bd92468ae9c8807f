package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"eyrie/pipeline"
	"eyrie/pipeline/apart"
)

// writeScript writes what a job of a batch runs, with the number of its element as its argument.
// It is for the user's eyes alone where it has the batch's order.
func (x *Executor) writeScript(b *batch) error {
	program, err := x.program()
	if err != nil {
		return err
	}
	path := filepath.Join(b.Dir, "run")
	if x.Carrier == nil {
		arguments := fmt.Sprintf(`--store %s --job %s/"$eyrie_element"`, quote(x.Dir), quote(b.Dir))
		return os.WriteFile(path, []byte(x.script(program, arguments, tellFile(b.Dir))), 0o777)
	}
	order := "export " + OrderVariable + "=" + quote(b.Order)
	b.Script = x.script(program, `--element "$eyrie_element"`, order+"\neyrie_tell() { :; }") // its log alone says what fails
	return os.WriteFile(path, []byte(b.Script), 0o700)
}

// tellFile returns the shell's function that adds what a performer would say: a line of the
// element's next file of events.
func tellFile(dir string) string {
	return `eyrie_tell() { n=0; while [ -e ` + quote(dir) + `/"$eyrie_element.$n.events" ]; do n=$((n+1)); done; printf '%s\n' "$1" >` + quote(dir) + `/"$eyrie_element.$n.events"; }`
}

// signals are those that schedulers send to a job's shell.
var signals = []string{"TERM", "USR1"}

// script returns a script that has a program perform an element, after a site's lines. What of
// these fails, or ends the shell, ends the job: without its modules a program may do something else.
func (x *Executor) script(program, arguments, own string) string {
	lines := []string{"#!/bin/sh", "eyrie_element=$1", own,
		`eyrie_fail() { trap - EXIT; echo "$2: exit status $1" >&2; eyrie_tell "$3"; test "$1" -ne 0 || exit 1; exit "$1"; }`}
	for _, signal := range signals { // by which a job is told to stop; bash would run the trap of EXIT
		lines = append(lines, fmt.Sprintf(`trap 'trap - EXIT %s; kill -%s $$' %s`, signal, signal, signal))
	}
	for _, line := range x.Setup {
		why := failure(fmt.Sprintf("setup of executor %q failed: %s", x.Name, line))
		lines = append(lines,
			"trap "+quote(`eyrie_fail "$?" `+why)+" EXIT",
			"command eval "+quote(line)+" || exit") // without command, a mistake in the line's syntax would end some shells with no trap
	}
	lines = append(lines,
		"trap - EXIT "+strings.Join(signals, " "),
		"command -v "+quote(program)+" >/dev/null || eyrie_fail 127 "+failure(fmt.Sprintf("executor %q: its node has no program %s (runner in the site file)", x.Name, program)),
		"exec "+quote(program)+" perform "+arguments)
	return strings.Join(lines, "\n") + "\n"
}

// failure returns what fails as two words for the shell: for its log, and as a performer says it.
func failure(what string) string {
	said, _ := json.Marshal(apart.Last(pipeline.Result{}, errors.New(what))) // text always marshals
	return quote(what) + " " + quote(string(said))
}

// quote writes a word for the shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
